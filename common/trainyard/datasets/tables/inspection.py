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
from trainyard.datasets.tables import csv, parquet
from trainyard.datasets.tables.assemble import columns_of
from trainyard.datasets.tables.columns import check_usable, missing
from trainyard.datasets.tables.delta import table_at
from trainyard.datasets.tables.formats import check_has_rows, format_of
from trainyard.datasets.tables.gathering import Columns
from trainyard.datasets.tables.index import index_columns
from trainyard.datasets.tables.keys import key_of
from trainyard.datasets.tables.selection import Selection, check_has, select, selection_of_tests
from trainyard.datasets.tables.targets import check_target, labels
from trainyard.datasets.tables.weights import check_parts, check_weights
from trainyard.errors import InvalidData


@dataclass(frozen=True)
class Head:
    """The first rows of a table: of a CSV all columns, of Parquet the target, the weight and what to divide by."""

    selection: Selection
    types: Mapping[str, pa.DataType]
    """Of all columns."""
    rows: Columns
    complete: bool
    """Whether these are all rows."""


def inspect_file(spec: FileData, split: Split, *, task: Task, access: DataAccess) -> None:
    """Check what the head of a table tells. Raises `InvalidData`."""
    with little_memory(spec.uri, "/data/uri"):
        location = table_at(locate(spec.uri, access), spec)
        head = _head(location, spec, lambda schema: _selected(schema, spec, split))
        if head is not None:
            check_head(head, task)
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
    if format_of(location, spec) == "csv":
        start = csv.first_rows(location, spec.csv)
        rows, complete = start.rows, start.complete
        schema, selection = rows.schema, selected(rows.schema)
    elif isinstance(location, WebFile):
        parquet.check_web(location)
        return None
    else:
        schema = parquet.schema(location, all_files=False)
        selection = selected(schema)
        rows, complete = parquet.first_rows(location, selection.labels)
    if complete:
        check_has_rows(rows.num_rows, location)
    types = dict(zip(schema.names, schema.types, strict=True))
    return Head(selection, types, columns_of(rows), complete)


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
