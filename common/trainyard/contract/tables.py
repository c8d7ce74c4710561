"""Tables that are asked for by name: the answer to a query, and tables of a catalog; and every source there is."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from trainyard.contract.data import (
    SCORED_TARGET,
    BuiltinData,
    DeltaData,
    FileData,
    ImageData,
    NotInAFile,
    ScoredDeltaData,
    ScoredFileData,
    TableData,
    Versioned,
)
from trainyard.contract.wire import Column

ConnectionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]+$", max_length=100)]
ROWS_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
"""When the rows were asked for, and chance."""


class SqlData(NotInAFile, TableData):
    """The answer of a database to a query."""

    pointer: ClassVar[str] = "/data/query"
    source: Literal["sql"]
    connection: ConnectionName = Field(
        examples=["warehouse"],
        description="A database that the service's operator has named; `files` is DuckDB over the tables below the data roots",
    )
    query: str = Field(
        min_length=1,
        max_length=50_000,
        examples=["SELECT age, plan, churned FROM customers WHERE active"],
        description="One SELECT; with `files`, FROM 'folder/table.parquet' names a table below a data root",
    )
    rows: Annotated[str, StringConstraints(pattern=rf"^{ROWS_ID.pattern}$")] | None = Field(
        None,
        description="Which answer counts: that of an earlier run, by its `data_version`; the database is asked anew by default",
    )

    @model_validator(mode="after")
    def _says_it_in_the_query(self) -> Self:
        if self.filter:
            message = "filter has no meaning beside a query; say it in the query's WHERE"
            raise ValueError(message)
        return self

    @property
    def address(self) -> str:
        """The database's name."""
        return self.connection


class IcebergData(NotInAFile, TableData):
    """An Apache Iceberg table: the rows of one of its snapshots, of the newest at the submit by default."""

    pointer: ClassVar[str] = "/data/table"
    source: Literal["iceberg"]
    catalog: ConnectionName = Field(
        examples=["lake"], description="A catalog that the service's operator has named"
    )
    table: str = Field(
        min_length=3,
        max_length=1000,
        pattern=r"^[^.]+(\.[^.]+)+$",
        examples=["shop.sales"],
        description="Namespace and name, with a dot between",
    )
    snapshot_id: int | None = Field(None, ge=0, lt=2**63, description="The snapshot to read")
    ref: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = Field(
        None, examples=["main"], description="The branch or tag whose snapshot to read"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.snapshot_id is not None and self.ref is not None:
            message = "snapshot_id and ref both say which snapshot counts; leave one of them out"
            raise ValueError(message)
        return self

    @property
    def address(self) -> str:
        """Catalog, namespace and name."""
        return f"{self.catalog}.{self.table}"


class ScoredSqlData(SqlData):
    """The answer of a database, to score."""

    target: Column | None = Field(None, description=SCORED_TARGET)  # type: ignore[assignment]


class ScoredIcebergData(IcebergData):
    """An Iceberg table to score."""

    target: Column | None = Field(None, description=SCORED_TARGET)  # type: ignore[assignment]


DataSpec = Annotated[
    BuiltinData | FileData | DeltaData | IcebergData | SqlData | ImageData,
    Field(discriminator="source"),
]
ScoredData = Annotated[
    BuiltinData | ScoredFileData | ScoredDeltaData | ScoredIcebergData | ScoredSqlData | ImageData,
    Field(discriminator="source"),
]
AnyTable = FileData | SqlData | IcebergData
"""Any table."""
DataVersion = int | str
"""The version of a Delta table; in text, as it may be beyond 2**53, the snapshot of an Iceberg table; the rows of a query."""


def at_version(data: AnyTable, version: DataVersion) -> AnyTable:
    """The same table, pinned to `version`."""
    if isinstance(data, SqlData):
        return data.model_copy(update={"rows": str(version)})
    if isinstance(data, IcebergData):
        return data.model_copy(update={"snapshot_id": int(version), "ref": None})
    kind = ScoredDeltaData if isinstance(data, ScoredFileData) else DeltaData
    fields = {
        name: getattr(data, name)
        for name in kind.model_fields
        if name not in {"source", "version", "timestamp"} and name in data.model_fields_set
    }
    return kind(source="delta", version=int(version), **fields)


def version_of(data: object) -> DataVersion | None:
    """The version of a table that `data` is pinned to; None where it is not."""
    if isinstance(data, SqlData):
        return data.rows
    if isinstance(data, IcebergData):
        return None if data.snapshot_id is None else str(data.snapshot_id)
    return data.version if isinstance(data, Versioned) else None


def version_from(text: str) -> DataVersion:
    """What was written as text: the numbers of Delta's versions are small."""
    return int(text) if text.isdecimal() and len(text) < 16 else text
