"""Apache Iceberg: the rows of one snapshot of a table in a catalog, by pyiceberg, which knows deletes and other schemas."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from math import ceil, floor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from trainyard.contract import Condition, IcebergData
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.addresses import AT_SUBMIT_SECONDS, IN_A_RUN_SECONDS
from trainyard.datasets.sources.connections import catalog, without_secrets
from trainyard.datasets.sources.location import Location, readable
from trainyard.datasets.tables.catalogs import opened_catalog
from trainyard.datasets.tables.compared import MOST_DIGITS, compared_with
from trainyard.datasets.tables.filtered import expression, filtered, to_read
from trainyard.errors import InvalidData

TABLE = "/data/table"
SAMPLE_ROWS = 10_000
Chosen = Callable[[Sequence[str]], list[str]]
"""Of all columns, those to read."""


class Snapshot:
    """One snapshot of a table. What raises, raises `InvalidData`."""

    def __init__(
        self,
        spec: IcebergData,
        access: DataAccess,
        patience_seconds: float = AT_SUBMIT_SECONDS,
    ) -> None:
        self._spec = spec
        self._patience_seconds = patience_seconds
        self._properties = catalog(spec.catalog, access)
        with self._told():
            self._table = self._loaded()
            self.id = self._wanted()
            self.schema: pa.Schema = self._table.scan(snapshot_id=self.id).projection().as_arrow()
        self.schema = self.schema.remove_metadata()
        expression(spec.filter, self.schema)

    def about_rows(self) -> int:
        """The rows, those deleted by files of deletes among them; 0 where the snapshot does not say it, or not all count."""
        snapshot = self._table.snapshot_by_id(self.id)
        if self._spec.filter or snapshot is None or snapshot.summary is None:
            return 0
        return int(snapshot.summary.additional_properties.get("total-records", 0))

    def first_rows(self, wanted: Sequence[str]) -> pa.Table:
        """These columns of the rows that count among the first."""
        conditions = self._spec.filter
        needed = to_read(wanted, conditions)
        found = pa.Table.from_batches(
            self.batches(needed, (), limit=SAMPLE_ROWS),
            pa.schema([self.schema.field(name) for name in needed]),
        )
        return filtered(found, conditions).select(list(wanted))

    def batches(
        self,
        wanted: Sequence[str],
        conditions: Sequence[Condition],
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """These columns of the rows that meet the conditions, `limit` of them at most."""
        schema = pa.schema([self.schema.field(name) for name in wanted])
        with self._told():
            scan = self._table.scan(
                row_filter=_pushed(conditions, self.schema),
                selected_fields=tuple(wanted),
                snapshot_id=self.id,
                limit=limit,
            )
            for batch in scan.to_arrow_batch_reader():
                yield pa.RecordBatch.from_arrays(
                    [batch.column(field.name).cast(field.type) for field in schema], schema=schema
                )

    def _loaded(self) -> Any:
        try:
            from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
        except ImportError as error:
            raise InvalidData(
                "this service cannot read Iceberg tables; install trainyard[lake], which brings pyiceberg",
                "/data/source",
            ) from error
        known = opened_catalog(self._spec.catalog, self._properties, self._patience_seconds)
        try:
            return known.load_table(self._spec.table)
        except (NoSuchTableError, NoSuchNamespaceError) as error:
            raise InvalidData(
                f"the catalog {self._spec.catalog!r} has no table {self._spec.table!r}", TABLE
            ) from error

    def _wanted(self) -> int:
        spec, table = self._spec, self._table
        if spec.ref is not None:
            found = table.snapshot_by_name(spec.ref)
            why = f"no branch or tag {spec.ref!r}; it has {', '.join(map(repr, table.refs()))}"
        elif spec.snapshot_id is not None:
            found = table.snapshot_by_id(spec.snapshot_id)
            ids = [each.snapshot_id for each in table.snapshots()]
            why = f"no snapshot {spec.snapshot_id}, or no longer; the newest of its {len(ids)} is {ids[-1] if ids else None}"
        else:
            found, why = table.current_snapshot(), "no snapshot, and so no rows"
        if found is None:
            field = (
                "ref" if spec.ref else "snapshot_id" if spec.snapshot_id is not None else "table"
            )
            raise InvalidData(f"{spec.address!r} has {why}", f"/data/{field}")
        return int(found.snapshot_id)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Catalogs, stores and readers of their files raise what they like."""
        try:
            yield
        except (InvalidData, MemoryError):
            raise
        except Exception as error:
            why = without_secrets(f"{type(error).__name__}: {error}", self._properties)
            raise InvalidData(f"{self._spec.address!r} cannot be read: {why}", TABLE) from error


@contextmanager
def fetched(spec: IcebergData, access: DataAccess, chosen: Chosen) -> Iterator[Location]:
    """The columns that are chosen of the rows that count, as a Parquet file, for as long as the context lasts."""
    from pyarrow.fs import LocalFileSystem
    from pyarrow.parquet import ParquetWriter

    snapshot = Snapshot(spec, access, IN_A_RUN_SECONDS)
    wanted = chosen(snapshot.schema.names)
    with TemporaryDirectory(prefix="trainyard-") as folder:
        path = Path(folder) / "table.parquet"
        schema = pa.schema([snapshot.schema.field(name) for name in wanted])
        with readable(spec.address, TABLE), ParquetWriter(path, schema) as writer:
            for batch in snapshot.batches(wanted, spec.filter):
                writer.write_batch(batch)
        about = {"catalog": spec.catalog, "table": spec.table, "snapshot_id": str(snapshot.id)}
        yield Location(spec.address, TABLE, LocalFileSystem(), str(path), about={"iceberg": about})


def _pushed(conditions: Sequence[Condition], schema: pa.Schema) -> Any:
    """The conditions as pyiceberg has them. A missing value meets `is null` alone, where Iceberg's `!=` takes it for another."""
    import pyiceberg.expressions

    ice: Any = pyiceberg.expressions
    compared = {
        "==": ice.EqualTo,
        "!=": ice.NotEqualTo,
        "<": ice.LessThan,
        "<=": ice.LessThanOrEqual,
        ">": ice.GreaterThan,
        ">=": ice.GreaterThanOrEqual,
        "in": ice.In,
        "not in": ice.NotIn,
    }
    whole: Any = ice.AlwaysTrue()
    for each in conditions:
        name = each.column
        absent: Any = ice.IsNull(name)
        if pa.types.is_floating(schema.field(name).type):
            absent = ice.Or(absent, ice.IsNaN(name))
        if each.op in compared:
            op, value = _literal(each, schema)
            one = ice.And(compared[op](name, value), ice.Not(absent))
        else:
            one = absent if each.op == "is null" else ice.Not(absent)
        whole = ice.And(whole, one)
    return whole


def _literal(condition: Condition, schema: pa.Schema) -> tuple[str, Any]:
    """Operator and value as Iceberg's types compare them: whole numbers with whole numbers, decimals with as many digits, dates as ISO-8601 in full."""
    values = [each.as_py() for each in compared_with(condition, schema)]
    kind = schema.field(condition.column).type
    if pa.types.is_decimal(kind):
        return _of_decimals(condition, values, kind)
    values = [each.isoformat() if hasattr(each, "isoformat") else each for each in values]
    if isinstance(condition.value, list):
        return condition.op, values
    value = values[0]
    if isinstance(value, float) and pa.types.is_integer(kind):
        if value.is_integer():
            return condition.op, int(value)
        return (">", floor(value)) if condition.op.startswith(">") else ("<", ceil(value))
    return condition.op, value


def _of_decimals(condition: Condition, values: list[Decimal], kind: pa.DataType) -> tuple[str, Any]:
    """The same of decimals: a value that the column cannot have is none of those, or lies between two that it can."""
    unit = Decimal(1).scaleb(-kind.scale)
    largest = Decimal(10) ** (kind.precision - kind.scale) - unit
    with localcontext(prec=2 * MOST_DIGITS):
        there = [each.quantize(unit) for each in values if abs(each) <= largest and not each % unit]
        if isinstance(condition.value, list) or condition.op in {"==", "!="}:
            return ("in" if condition.op in {"in", "=="} else "not in"), there
        if there:
            return condition.op, there[0]
        if condition.op.startswith(">"):
            below = min(values[0].quantize(unit, ROUND_FLOOR), largest)
            return (">", below) if below >= -largest else (">=", -largest)
        above = max(values[0].quantize(unit, ROUND_CEILING), -largest)
        return ("<", above) if above <= largest else ("<=", largest)
