"""Tables in files, read in full: CSV, gzipped CSV, Parquet, and folders of Parquet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from trainyard.contract import AnyTable, FileData, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.addresses import opened
from trainyard.datasets.sources.location import Location
from trainyard.datasets.sources.redaction import file_name, redacted
from trainyard.datasets.splitting import Key
from trainyard.datasets.tables import delimited, parquet
from trainyard.datasets.tables.as_trained import Trained, start_of, texts_of
from trainyard.datasets.tables.assemble import AsRead, Origin, columns_of, tabulate
from trainyard.datasets.tables.csv_columns import one_by_one
from trainyard.datasets.tables.delimited import Laid
from trainyard.datasets.tables.dialects.dialect import Layout
from trainyard.datasets.tables.formats import check_has_rows, format_of
from trainyard.datasets.tables.gathering import Columns
from trainyard.datasets.tables.index import categoricals, index_columns
from trainyard.datasets.tables.joining import joined
from trainyard.datasets.tables.keys import key_of
from trainyard.datasets.tables.lacking import needed_of
from trainyard.datasets.tables.on_disk import ReadWhenAsked
from trainyard.datasets.tables.opening import opened_table
from trainyard.datasets.tables.room import check_room, size_of
from trainyard.datasets.tables.selection import Selection, check_has, select, selection_of_tests
from trainyard.datasets.tables.targets import check_target
from trainyard.trainer import WHOLE, Data


@dataclass(frozen=True)
class Table:
    """A table as it was read: all rows, those of a separate test table last."""

    columns: Columns
    selection: Selection
    origin: Origin
    key: Key | None


def load_file(  # noqa: PLR0913 - a table, and what it is for
    spec: AnyTable,
    split: Split,
    *,
    task: Task,
    access: DataAccess,
    needs_whole: str | None = WHOLE,
    keep: Callable[[AsRead], object] | None = None,
) -> Data:
    """Read, check, split and type a table, of which `keep` is shown what was read. Raises `InvalidData`.

    One that does not fit in memory is read column by column; or refused, where the model `needs_whole` for this reason.
    """
    with opened_table(spec, access, _asked_for(spec, split)) as location:
        start = _started(location, spec, split)
        beyond = _beyond_memory(location, start, spec, access, needs_whole)
        if beyond is None:
            columns = _columns(location, spec, start.layout, start.schema, start.selection)
        else:
            columns = _one_by_one(location, start)
        table = _table(columns, start, spec, split, task, access)
        return tabulate(
            table.columns,
            table.selection,
            split,
            task=task,
            origin=table.origin,
            key=table.key,
            beyond_memory=beyond,
            keep=keep,
        )


def read(
    spec: AnyTable, split: Split, *, task: Task, access: DataAccess, trained: Trained = ()
) -> Table:
    """Read the columns that the spec asks for, and what rows are divided by, for a model that is `trained` on them so. Raises `InvalidData`."""
    with opened_table(spec, access, _asked_for(spec, split)) as location:
        start = _started(location, spec, split, trained)
        columns = _columns(location, spec, start.layout, start.schema, start.selection)
    return _table(columns, start, spec, split, task, access)


@dataclass(frozen=True)
class _Start:
    """What is known of a table before its rows are read."""

    schema: pa.Schema
    layout: Laid | None
    rows: int | None
    """Of a CSV about how many there are, 0 where that cannot be told."""
    differ: Sequence[str]
    """What its files differ in, in words."""
    location: Location
    selection: Selection


def _asked_for(spec: AnyTable, split: Split) -> Callable[[Sequence[str]], list[str]]:
    """Of all columns, those that are to be read."""
    apart = {spec.target, spec.weight, split.column}

    def chosen(names: Sequence[str]) -> list[str]:
        features = set(names if spec.features is None else spec.features) - set(spec.drop)
        return [name for name in names if name in features or name in apart]

    return chosen


def _started(location: Location, spec: AnyTable, split: Split, trained: Trained = ()) -> _Start:
    schema, layout, rows, differ = _schema(location, spec, trained=trained)
    selection = select(schema.names, spec, index_columns(schema), key=split.column)
    selection = selection.with_categories(categoricals(schema))
    return _Start(schema, layout, rows, differ, location, selection)


def _beyond_memory(
    location: Location, start: _Start, spec: AnyTable, access: DataAccess, needs_whole: str | None
) -> str | None:
    """A sentence, where a table does not fit in memory. Raises `InvalidData` where it cannot be trained on then."""
    if access.memory_mb is None:
        return None
    rows = start.rows
    if rows is None:
        rows = parquet.count_rows(location, start.schema)
    size = size_of(start.schema, rows, start.selection.columns)
    if size.fits(access):
        return None
    check_room(size, access, spec, needs_whole=needs_whole)
    return f"{size.said(access)}: it is read column by column, kept in temporary files, and trained on in batches"


def _one_by_one(location: Location, start: _Start) -> ReadWhenAsked:
    names = start.selection.columns
    if isinstance(start.layout, Layout):
        return ReadWhenAsked(tuple(names), one_by_one(location, start.layout, names))

    def column(name: str) -> pa.ChunkedArray:
        return parquet.every_row(location, start.schema, [name]).column(name)

    return ReadWhenAsked(tuple(names), column)


def _table(  # noqa: PLR0913, PLR0917 - what a table is made of
    columns: Columns, start: _Start, spec: AnyTable, split: Split, task: Task, access: DataAccess
) -> Table:
    """The table, with the rows of a separate test table after its own, and what its rows are divided by."""
    selection = start.selection
    own = _key_column(columns, selection)
    tested, test_rows = None, 0
    if spec.test_uri is not None:
        of_tests = selection_of_tests(selection, split)
        kinds = {name: columns[name].type for name in columns}
        texts = texts_of(start.schema) | texts_of(pa.schema([*kinds.items()]))
        test = _test_columns(spec, spec.test_uri, of_tests, access, texts)
        decimal = "." if start.layout is None else start.layout.dialect.decimal
        of_test = test[selection.target]
        check_target(of_test, selection.target, task, "/data/test_uri", decimal=decimal)
        test_rows = len(test[selection.target])
        tested = _key_column(test, of_tests)
        columns = {name: joined(columns[name], test.pop(name), name) for name in columns}
    key = None if own is None else key_of(split, own, tested, test_rows)
    return Table(columns, selection, _origin(spec, start, test_rows), key)


def _origin(spec: AnyTable, start: _Start, test_rows: int) -> Origin:
    """What the table is called. One with versions has its whole path for a name: its version tells it from others."""
    snapshot, about = start.location.snapshot, dict(start.location.about)
    if spec.filter:
        about["filter"] = [each.model_dump() for each in spec.filter]
    if snapshot is not None:
        about["delta"] = {"version": snapshot.version}
    uri, layout = redacted(spec.address), start.layout
    name = file_name(uri) if isinstance(spec, FileData) and snapshot is None else uri
    warnings = (*start.location.warnings, *start.differ)
    origin = Origin(name, uri, test_rows, written=about, warnings=warnings)
    if layout is None:
        return origin
    return replace(
        origin,
        written={**about, "csv": layout.dialect.described()},
        decimal=layout.dialect.decimal,
        warnings=(
            *delimited.said(layout, origin.source),
            *delimited.codes(layout, start.selection),
        ),
    )


def _key_column(columns: Columns, selection: Selection) -> pa.ChunkedArray | None:
    """The column to divide by, where there is one; no longer one of `columns`, unless it is a feature."""
    if selection.key is None:
        return None
    column = columns[selection.key]
    if selection.key not in selection.features:
        del columns[selection.key]
    return column


def _test_columns(
    spec: AnyTable, uri: str, selection: Selection, access: DataAccess, texts: frozenset[str]
) -> Columns:
    """The columns of the separate table for the test metrics, of which `texts` are text in the training table."""
    with opened(uri, access, "/data/test_uri") as found:
        location = replace(found, conditions=tuple(spec.filter))
        schema, layout, *_ = _schema(location, spec, texts)
        check_has(schema.names, selection)
        return _columns(location, spec, layout, schema, selection)


def _schema(
    location: Location,
    spec: AnyTable,
    texts: frozenset[str] = frozenset(),
    trained: Trained = (),
) -> tuple[pa.Schema, Laid | None, int | None, list[str]]:
    """All columns; the types of a CSV's are those of its first rows. How a CSV is written, about how many rows it has; and in what files differ."""
    if format_of(location, spec) == "parquet":
        schema, differ = parquet.described(location, all_files=True, needed=needed_of(spec))
        return schema, None, None, differ
    needed = needed_of(spec)
    start = (
        start_of(location, spec, trained, needed=needed)
        if trained
        else delimited.first_rows(location, spec.csv, all_files=True, needed=needed, texts=texts)
    )
    rows = 0 if location.conditions else delimited.about_rows(location, start)
    return start.rows.schema, start.layout, rows, []


def _columns(
    location: Location,
    spec: AnyTable,
    layout: Laid | None,
    schema: pa.Schema,
    selection: Selection,
) -> Columns:
    if layout is None:
        table = parquet.every_row(location, schema, selection.columns)
    else:
        table = delimited.every_row(location, layout, selection.columns)
    check_has_rows(table.num_rows, location, spec.filter)
    return columns_of(table)
