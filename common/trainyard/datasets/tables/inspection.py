"""What the head of a table tells at submit: names, types, and the first rows' target and weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from trainyard.contract import AnyTable, DataVersion, FileData, IcebergData, Split, SqlData, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.addresses import locate
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location
from trainyard.datasets.sources.memory import little_memory
from trainyard.datasets.tables import delimited, parquet, strays
from trainyard.datasets.tables.as_trained import texts_of
from trainyard.datasets.tables.assemble import columns_of
from trainyard.datasets.tables.columns import check_usable, missing
from trainyard.datasets.tables.delta import table_at
from trainyard.datasets.tables.filtered import filtered
from trainyard.datasets.tables.formats import check_has_rows, format_of, is_seen_whole
from trainyard.datasets.tables.iceberg import Snapshot
from trainyard.datasets.tables.index import index_columns
from trainyard.datasets.tables.keys import key_of
from trainyard.datasets.tables.lacking import needed_of
from trainyard.datasets.tables.queries import kept
from trainyard.datasets.tables.queries.answer import Answer, TookTooLong, refused
from trainyard.datasets.tables.room import check_room, size_of
from trainyard.datasets.tables.selection import Selection, check_has, select, selection_of_tests
from trainyard.datasets.tables.stored import is_bytes
from trainyard.datasets.tables.targets import check_target, labels
from trainyard.datasets.tables.weights import check_parts, check_weights
from trainyard.errors import InvalidData
from trainyard.trainer import WHOLE

CheckNames = Callable[[Sequence[str]], None]
"""Is given the names of all columns, and raises `InvalidData` where one that is needed is not there."""


@dataclass(frozen=True)
class Head:
    """The first rows of a table: of a CSV all columns, of Parquet the target, the weight and what to divide by."""

    selection: Selection
    types: Mapping[str, pa.DataType]
    """Of all columns."""
    rows: dict[str, pa.ChunkedArray]
    complete: bool
    """Whether these are all rows."""
    about_rows: int
    """All rows, by an estimate; 0 where it cannot be told."""
    layout: delimited.Laid | None = None
    """How a CSV is written."""

    @property
    def decimal(self) -> str:
        """The decimal mark in all of a CSV; a point for what is none."""
        return "." if self.layout is None else self.layout.dialect.decimal


def inspect_file(  # noqa: PLR0913 - the spec, and what it is for
    spec: AnyTable,
    split: Split,
    *,
    task: Task,
    access: DataAccess,
    needs_whole: str | None = WHOLE,
    check_names: CheckNames | None = None,
) -> DataVersion | None:
    """Check what the head of a table tells, and that it is not too large. Raises `InvalidData`.

    `check_names` is given its columns first. The answer is the version that counts, of a table that has versions.
    """
    with little_memory(spec.address, spec.pointer):
        version, head = seen(
            spec, access, lambda schema: _selected(schema, spec, split, check_names)
        )
        if head is not None:
            check_head(head, task)
            size = size_of(pa.schema(head.types.items()), head.about_rows, head.selection.columns)
            check_room(size, access, spec, needs_whole=needs_whole)
            if head.selection.key is not None:
                key_of(split, head.rows[head.selection.key], is_complete=head.complete)
    if spec.test_uri is None:
        return version
    with little_memory(spec.test_uri, "/data/test_uri"):
        location = counting(locate(spec.test_uri, access, "/data/test_uri"), spec)
        texts = frozenset() if head is None else texts_of(pa.schema([*head.types.items()]))
        tested = head_of(location, spec, lambda schema: _tested(schema, spec, split, head), texts)
        if tested is not None:
            column, mark = tested.rows[spec.target], (head or tested).decimal
            check_target(column, spec.target, task, "/data/test_uri", decimal=mark)
    return version


def check_head(head: Head, task: Task) -> None:
    """Raise `InvalidData` for the first column that cannot be trained with."""
    selection = head.selection
    target = head.rows[selection.target]
    with strays.told(head.rows, selection.target, target):
        check_target(target, selection.target, task, decimal=head.decimal)
        if head.complete and task is Task.CLASSIFICATION:
            labels(target, selection.target)
    if selection.weight is not None:
        column = head.rows[selection.weight]
        weights = check_weights(column, selection.weight, decimal=head.decimal)
        if head.complete:
            check_parts(
                weights, selection.weight, {"train": np.arange(len(weights))}, weights, None
            )
    for name in selection.features:
        check_usable(name, head.types[name], selection.pointer(name))
        column = head.rows.get(name) if head.complete and selection.named else None
        if column is not None and missing(column) == len(column):
            raise InvalidData(
                f"every value of the column {name!r} is missing; drop it", selection.pointer(name)
            )


def seen(
    spec: AnyTable, access: DataAccess, selected: Callable[[pa.Schema], Selection]
) -> tuple[DataVersion | None, Head | None]:
    """The version that counts, of a table that has versions, and its head; None where a look costs the whole of it."""
    if isinstance(spec, IcebergData):
        snapshot = Snapshot(spec, access)
        chosen = selected(snapshot.schema)
        rows = snapshot.first_rows(chosen.labels)
        return str(snapshot.id), _some(snapshot.schema, chosen, rows, snapshot.about_rows())
    if isinstance(spec, SqlData):
        rows_id = spec.rows or kept.new_rows()
        there = kept.found(spec, access)
        head = (
            _of_query(spec, access, selected) if there is None else head_of(there, spec, selected)
        )
        return rows_id, head
    location = counting(table_at(locate(spec.uri, access), spec), spec)
    pinned = None if isinstance(location, WebFile) else location.snapshot
    return (pinned.version if pinned else None), head_of(location, spec, selected)


def counting(location: Location | WebFile, spec: FileData) -> Location | WebFile:
    """The location, of which those rows count that meet the request's conditions; of a file from the web only the run knows."""
    if isinstance(location, WebFile) or not spec.filter:
        return location
    return replace(location, conditions=tuple(spec.filter))


def _of_query(
    spec: SqlData, access: DataAccess, selected: Callable[[pa.Schema], Selection]
) -> Head | None:
    """The head of an answer; None of one whose first rows take long, once its columns are known to be right."""
    with suppress(TookTooLong), kept.looked_at(spec, access) as answer:
        chosen = selected(answer.schema)
        rows = pa.Table.from_batches(_first(answer), answer.schema)
        if not len(rows):
            raise refused(spec.connection, "no row meets it")
        return _some(answer.schema, chosen, rows.select(chosen.labels), 0)
    return None


def _first(answer: Answer) -> Iterator[pa.RecordBatch]:
    count = 0
    for batch in answer.batches:
        yield batch
        count += batch.num_rows
        if count >= parquet.SAMPLE_ROWS:
            return


def _some(schema: pa.Schema, selection: Selection, rows: pa.Table, about: int) -> Head:
    """A head that may or may not have all rows."""
    schema = pa.schema(_as_text_may_be(field) for field in schema)
    types = dict(zip(schema.names, schema.types, strict=True))
    return Head(selection, types, columns_of(rows), complete=False, about_rows=about)


def head_of(
    location: Location | WebFile,
    spec: AnyTable,
    selected: Callable[[pa.Schema], Selection],
    texts: frozenset[str] = frozenset(),
) -> Head | None:
    """The head of a table, its schema given to `selected`; None where a look costs the whole file.

    Of a CSV the columns `texts` are read as text, whatever they hold.
    """
    if is_seen_whole(location, spec):
        return None
    if isinstance(location, WebFile) or format_of(location, spec) == "csv":
        start = delimited.first_rows(location, spec.csv, needed=needed_of(spec), texts=texts)
        layout: delimited.Laid | None = start.layout
        schema, selection = start.rows.schema, selected(start.rows.schema)
        rows, complete = filtered(start.rows, spec.filter), start.complete
        about = 0 if spec.filter else delimited.about_rows(location, start)
    else:
        schema = parquet.schema(location, all_files=False, needed=needed_of(spec))
        layout = None
        selection = selected(schema)
        rows, complete = parquet.first_rows(location, selection.labels)
        about = parquet.about_rows(location, schema)
        # Bytes of a Parquet table are often text; whether they are, all rows tell.
        schema = pa.schema(_as_text_may_be(field) for field in schema)
    if complete:
        check_has_rows(rows.num_rows, location, spec.filter)
    types = dict(zip(schema.names, schema.types, strict=True))
    return Head(selection, types, columns_of(rows), complete, about, layout)


def _as_text_may_be(field: pa.Field) -> pa.Field:
    return field.with_type(pa.large_string()) if is_bytes(field.type) else field


def _selected(
    schema: pa.Schema, spec: AnyTable, split: Split, check_names: CheckNames | None
) -> Selection:
    if check_names is not None:
        check_names(schema.names)
    return select(schema.names, spec, index_columns(schema), key=split.column)


def _tested(schema: pa.Schema, spec: FileData, split: Split, head: Head | None) -> Selection:
    """The selection from the training table, which the test table must have; or by the spec alone."""
    if head is None:
        key = None if split.by == "column" else split.column
        return select(schema.names, spec, index_columns(schema), key=key)
    selection = selection_of_tests(head.selection, split)
    check_has(schema.names, selection)
    return selection
