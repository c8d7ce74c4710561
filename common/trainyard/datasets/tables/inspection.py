"""What the head of a table tells at submit: names, types, and the first rows' target and weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from trainyard.contract import FileData, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.addresses import locate
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location
from trainyard.datasets.sources.memory import little_memory
from trainyard.datasets.tables import delimited, parquet
from trainyard.datasets.tables.assemble import columns_of
from trainyard.datasets.tables.columns import check_usable, missing
from trainyard.datasets.tables.delta import table_at
from trainyard.datasets.tables.formats import check_has_rows, format_of, is_seen_whole
from trainyard.datasets.tables.index import index_columns
from trainyard.datasets.tables.keys import key_of
from trainyard.datasets.tables.room import check_room, size_of
from trainyard.datasets.tables.selection import Selection, check_has, select, selection_of_tests
from trainyard.datasets.tables.stored import is_bytes
from trainyard.datasets.tables.targets import check_target, labels
from trainyard.datasets.tables.weights import check_parts, check_weights
from trainyard.errors import InvalidData
from trainyard.trainer import WHOLE

CSV_WHOLE = "CSV is read as a whole, and Parquet can be read in batches"


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
    read_whole: str | None = None
    """Why the file cannot be read in batches; None where it can."""


def inspect_file(
    spec: FileData, split: Split, *, task: Task, access: DataAccess, needs_whole: str | None = WHOLE
) -> None:
    """Check what the head of a table tells, and that it is not too large. Raises `InvalidData`."""
    with little_memory(spec.uri, "/data/uri"):
        location = table_at(locate(spec.uri, access), spec)
        head = _head(location, spec, lambda schema: _selected(schema, spec, split))
        if head is not None:
            check_head(head, task)
            size = size_of(pa.schema(head.types.items()), head.about_rows, head.selection.columns)
            check_room(size, access, spec, needs_whole=head.read_whole or needs_whole)
            if head.selection.key is not None:
                key_of(split, head.rows[head.selection.key])
    if spec.test_uri is None:
        return
    with little_memory(spec.test_uri, "/data/test_uri"):
        location = locate(spec.test_uri, access, "/data/test_uri")
        tested = _head(location, spec, lambda schema: _tested(schema, spec, split, head))
        if tested is not None:
            check_target(tested.rows[spec.target], spec.target, task, "/data/test_uri")


def check_head(head: Head, task: Task) -> None:
    """Raise `InvalidData` for the first column that cannot be trained with."""
    selection = head.selection
    target = head.rows[selection.target]
    check_target(target, selection.target, task)
    if head.complete and task is Task.CLASSIFICATION:
        labels(target, selection.target)
    if selection.weight is not None:
        weights = check_weights(head.rows[selection.weight], selection.weight)
        if head.complete:
            check_parts(
                weights, selection.weight, {"train": np.arange(len(weights))}, weights, None
            )
    for name in selection.features:
        check_usable(name, head.types[name], selection.pointer(name))
        column = head.rows.get(name)
        if head.complete and column is not None and missing(column) == len(column):
            raise InvalidData(
                f"every value of the column {name!r} is missing; drop it", selection.pointer(name)
            )


def _head(
    location: Location | WebFile, spec: FileData, selected: Callable[[pa.Schema], Selection]
) -> Head | None:
    """The head of a table, its schema given to `selected`; None where a look costs the whole file."""
    if is_seen_whole(location, spec):
        return None
    if isinstance(location, WebFile) or format_of(location, spec) == "csv":
        start = delimited.first_rows(location, spec.csv)
        rows, complete, whole = start.rows, start.complete, CSV_WHOLE
        about = delimited.about_rows(location, start)
        schema, selection = rows.schema, selected(rows.schema)
    else:
        schema = parquet.schema(location, all_files=False)
        selection = selected(schema)
        rows, complete = parquet.first_rows(location, selection.labels)
        about, whole = parquet.about_rows(location, schema), None
        # Bytes of a Parquet table are often text; whether they are, all rows tell.
        schema = pa.schema(_as_text_may_be(field) for field in schema)
    if complete:
        check_has_rows(rows.num_rows, location)
    types = dict(zip(schema.names, schema.types, strict=True))
    return Head(selection, types, columns_of(rows), complete, about, whole)


def _as_text_may_be(field: pa.Field) -> pa.Field:
    return field.with_type(pa.large_string()) if is_bytes(field.type) else field


def _selected(schema: pa.Schema, spec: FileData, split: Split) -> Selection:
    return select(schema.names, spec, index_columns(schema), key=split.column)


def _tested(schema: pa.Schema, spec: FileData, split: Split, head: Head | None) -> Selection:
    """The selection from the training table, which the test table must have; or by the spec alone."""
    if head is None:
        key = None if split.by == "column" else split.column
        return select(schema.names, spec, index_columns(schema), key=key)
    selection = selection_of_tests(head.selection, split)
    check_has(schema.names, selection)
    return selection
