"""Tables in files, read in full: CSV, gzipped CSV, Parquet, and folders of Parquet."""

from dataclasses import dataclass, replace

import pyarrow as pa

from trainyard.contract import FileData, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.addresses import opened
from trainyard.datasets.sources.location import Location, Snapshot
from trainyard.datasets.sources.redaction import file_name, redacted
from trainyard.datasets.splitting import Key
from trainyard.datasets.tables import csv, parquet
from trainyard.datasets.tables.assemble import Origin, columns_of, tabulate
from trainyard.datasets.tables.delta import table_at
from trainyard.datasets.tables.dialects.dialect import Layout
from trainyard.datasets.tables.formats import check_has_rows, format_of
from trainyard.datasets.tables.gathering import Columns
from trainyard.datasets.tables.index import index_columns
from trainyard.datasets.tables.joining import joined
from trainyard.datasets.tables.keys import key_of
from trainyard.datasets.tables.selection import Selection, check_has, select, selection_of_tests
from trainyard.datasets.tables.targets import check_target
from trainyard.trainer import Data


@dataclass(frozen=True)
class Table:
    """A table as it was read: all rows, those of a separate test table last."""

    columns: Columns
    selection: Selection
    origin: Origin
    key: Key | None


def load_file(spec: FileData, split: Split, *, task: Task, access: DataAccess) -> Data:
    """Read, check, split and type a table. Raises `InvalidData`."""
    table = read(spec, split, task=task, access=access)
    return tabulate(
        table.columns, table.selection, split, task=task, origin=table.origin, key=table.key
    )


def read(spec: FileData, split: Split, *, task: Task, access: DataAccess) -> Table:
    """Read the columns that the spec asks for, and what rows are divided by. Raises `InvalidData`."""
    with opened(spec.uri, access) as found:
        location = table_at(found, spec)
        schema, layout = _schema(location, spec)
        selection = select(schema.names, spec, index_columns(schema), key=split.column)
        columns = _columns(location, layout, schema, selection)
    own = _key_column(columns, selection)
    tested, test_rows = None, 0
    if spec.test_uri is not None:
        of_tests = selection_of_tests(selection, split)
        test = _test_columns(spec, spec.test_uri, of_tests, task, access)
        test_rows = len(test[selection.target])
        tested = _key_column(test, of_tests)
        columns = {name: joined(column, test.pop(name), name) for name, column in columns.items()}
    key = None if own is None else key_of(split, own, tested, test_rows)
    origin = _origin(spec, layout, test_rows, location.snapshot)
    return Table(columns, selection, origin, key)


def _origin(
    spec: FileData, layout: Layout | None, test_rows: int, snapshot: Snapshot | None
) -> Origin:
    """What the table is called. A Delta table has its whole path for a name: its version tells it from others."""
    if snapshot is not None:
        uri = redacted(spec.uri)
        return Origin(uri, uri, written={"delta": {"version": snapshot.version}})
    origin = Origin(file_name(spec.uri), redacted(spec.uri), test_rows)
    if layout is None:
        return origin
    said = layout.sentence(origin.source)
    return replace(
        origin,
        written={"csv": layout.dialect.described()},
        decimal=layout.dialect.decimal,
        warnings=() if said is None else (said,),
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
    spec: FileData, uri: str, selection: Selection, task: Task, access: DataAccess
) -> Columns:
    """The columns of the separate table for the test metrics."""
    with opened(uri, access, "/data/test_uri") as location:
        schema, layout = _schema(location, spec)
        check_has(schema.names, selection)
        columns = _columns(location, layout, schema, selection)
    check_target(columns[selection.target], selection.target, task, "/data/test_uri")
    return columns


def _schema(location: Location, spec: FileData) -> tuple[pa.Schema, Layout | None]:
    """All columns; the types of a CSV's are those of its first rows. And how a CSV is written."""
    if format_of(location, spec) == "parquet":
        return parquet.schema(location, all_files=True), None
    start = csv.first_rows(location, spec.csv)
    return start.rows.schema, start.layout


def _columns(
    location: Location, layout: Layout | None, schema: pa.Schema, selection: Selection
) -> Columns:
    if layout is None:
        table = parquet.every_row(location, schema, selection.columns)
    else:
        table = csv.every_row(location, layout, selection.columns)
    check_has_rows(table.num_rows, location)
    return columns_of(table)
