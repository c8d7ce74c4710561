"""What the head of a table shows to a person: each column, what a training makes of it, and what to read before it."""

from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import pyarrow as pa
import pyarrow.types as pt

from trainyard.contract import AnyTable, DataPreview, PreviewedColumn
from trainyard.contract.preview import LONGEST_EXAMPLE, MOST_EXAMPLES, MOST_SHOWN
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.memory import little_memory
from trainyard.datasets.sources.redaction import redacted
from trainyard.datasets.tables import delimited, suspicions, warned
from trainyard.datasets.tables.columns import is_date, missing, plain
from trainyard.datasets.tables.features import Feature, feature
from trainyard.datasets.tables.gathering import column_read
from trainyard.datasets.tables.index import index_columns
from trainyard.datasets.tables.inspection import Head, seen
from trainyard.datasets.tables.selection import Selection, distinct, select, stated
from trainyard.errors import InvalidData

Kind = Literal["number", "category", "date", "boolean", "none"]
EXAMPLE_ROWS = 1_000
"""In so many first rows examples are looked for."""


@dataclass(frozen=True)
class Shown(Selection):
    """Columns that are all read in the head."""

    @property
    def labels(self) -> list[str]:
        """Every one of them."""
        return list(self.features)


def preview_table(spec: AnyTable, access: DataAccess) -> DataPreview:
    """What its first rows show. Raises `InvalidData` for a table that cannot be read, and names that it does not have."""
    names: list[str] = []

    def shown(schema: pa.Schema) -> Shown:
        names.extend(schema.names)
        return _shown(schema, spec)

    with little_memory(spec.address, spec.pointer):
        _, head = seen(spec, access, shown)
        if head is None:
            return DataPreview(kind="table", columns=[], warnings=[_only_a_run(spec)])
        return preview_of(head, redacted(spec.address), more_columns=len(names) - MOST_SHOWN)


def preview_of(head: Head, uri: str, *, more_columns: int = 0) -> DataPreview:
    """What the head of the table at `uri` shows."""
    rows = max(map(len, head.rows.values()), default=0)
    layout = head.layout
    said: list[str] = []
    if layout is not None:
        said = [*delimited.said(layout, uri), *delimited.codes(layout, head.selection)]
    return DataPreview(
        kind="table",
        columns=[_column(name, head) for name in head.selection.features],
        more_columns=max(0, more_columns),
        rows_seen=rows,
        complete=head.complete,
        about_rows=rows if head.complete else head.about_rows or None,
        warnings=list(warned.bounded(said)),
    )


def _only_a_run(spec: AnyTable) -> str:
    return f"{redacted(spec.address)!r} is read by the run alone: a look at its columns would take as long"


def _shown(schema: pa.Schema, spec: AnyTable) -> Shown:
    """The first columns; where the target is said, every name of the request is held against them."""
    distinct(schema.names, spec.pointer)
    if spec.target is not None:
        select(schema.names, spec, index_columns(schema))
    return Shown(
        tuple(schema.names[:MOST_SHOWN]),
        target=spec.target or "",
        left_out=tuple(index_columns(schema)),
        **stated(spec),
    )


def _column(name: str, head: Head) -> PreviewedColumn:
    values = head.rows[name]
    kind, absent, said = _read(name, values, head)
    return PreviewedColumn(
        name=name,
        type=kind,
        stored=str(values.type),
        examples=_examples(values),
        missing=absent,
        warnings=said,
    )


def _read(name: str, values: pa.ChunkedArray, head: Head) -> tuple[Kind, int, list[str]]:
    """What a training makes of the column, how many values it lacks, and what there is to say."""
    if len(values) and missing(values) == len(values):
        return "none", len(values), [_nothing_in(name, head)]
    decimal = "." if head.layout is None else head.layout.dialect.decimal
    try:
        read = column_read(name, values, head.selection, decimal)
        is_category = name in head.selection.categorical
        found = feature(name, read.column, is_category=is_category, pointer="/data/drop")
    except InvalidData as error:
        return "none", missing(values), [error.detail]
    said = list(read.warnings)
    if name in head.selection.left_out:
        said.append(
            f"the column {name!r} is a pandas index and is left out; name it in features to use it"
        )
    if name == head.selection.target:
        return _kind(found), missing(found.column), said
    if (suspicion := _suspicion(found.column, suspicions.of_values(found), head)) is not None:
        said.append(suspicion)
    return _kind(found), missing(found.column), said


def _nothing_in(name: str, head: Head) -> str:
    if head.complete:
        return f"every value of the column {name!r} is missing, so it is left out"
    return f"every value of the column {name!r} is missing in the first rows"


def _suspicion(column: pa.ChunkedArray, sentence: str | None, head: Head) -> str | None:
    """What was found of the first rows, where it is to be found of all; that they are all the same tells little."""
    if sentence is None or head.complete:
        return sentence
    return f"in the first rows {sentence}" if len(column.unique()) > 1 else None


def _kind(found: Feature) -> Kind:
    if found.is_category:
        return "category"
    kind = found.column.type
    if is_date(kind):
        return "date"
    return "boolean" if pt.is_boolean(kind) else "number"


def _examples(values: pa.ChunkedArray) -> list[str]:
    """Some values as text, none twice."""
    try:
        first = plain(values).slice(0, EXAMPLE_ROWS)
    except (InvalidData, pa.ArrowInvalid):
        first = values.slice(0, EXAMPLE_ROWS)
    found: dict[str, None] = {}
    for value in islice(first.to_pylist(), EXAMPLE_ROWS):
        if value is not None and value == value:  # noqa: PLR0124 - NaN
            found.setdefault(_short(value), None)
        if len(found) == MOST_EXAMPLES:
            break
    return list(found)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[:LONGEST_EXAMPLE]}…"
