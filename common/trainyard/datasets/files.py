"""Tables in files: CSV, gzipped CSV, Parquet, and folders of Parquet."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

import pyarrow as pa

from trainyard.contract import FileData, Split, Task
from trainyard.datasets import delimited, parquet
from trainyard.datasets.columns import check_usable, missing
from trainyard.datasets.joining import joined
from trainyard.datasets.location import Location
from trainyard.datasets.locations import locate, opened
from trainyard.datasets.selection import Selection, check_has, select
from trainyard.datasets.tables import Columns, Origin, columns_of, tabulate
from trainyard.datasets.targets import check_target, labels
from trainyard.datasets.web import WebFile
from trainyard.datasets.weights import check_weights
from trainyard.errors import InvalidData
from trainyard.settings import DataAccess
from trainyard.trainer import Data

Format = Literal["csv", "parquet"]


def load_file(spec: FileData, split: Split, *, task: Task, access: DataAccess) -> Data:
    """Read, check, split and type a table. Raises `InvalidData`."""
    with opened(spec.uri, access) as location:
        names = _names(location, spec)
        selection = select(names, spec)
        columns = _columns(location, spec, names, selection)
    test_rows = 0
    if spec.test_uri is not None:
        with opened(spec.test_uri, access, "/data/test_uri") as location:
            names = _names(location, spec)
            check_has(names, selection)
            test = _columns(location, spec, names, selection)
        check_target(test[selection.target], selection.target, task, "/data/test_uri")
        test_rows = len(test[selection.target])
        columns = {name: joined(column, test.pop(name), name) for name, column in columns.items()}
    return tabulate(columns, selection, split, task=task, origin=Origin(_name(spec.uri), _shown(spec.uri), test_rows))


def inspect_file(spec: FileData, *, task: Task, access: DataAccess) -> None:
    """Check what the head of a table tells: names, types, and the first rows' target and weights. Raises `InvalidData`."""
    head = _head(locate(spec.uri, access), spec, None)
    if head is not None:
        _check_head(head, task)
    if spec.test_uri is not None:
        tested = _head(locate(spec.test_uri, access, "/data/test_uri"), spec, head.selection if head else None)
        if tested is not None:
            check_target(tested.rows[spec.target], spec.target, task, "/data/test_uri")


@dataclass(frozen=True)
class Head:
    """The first rows of a table: of a CSV all columns, of Parquet the target and the weight."""

    selection: Selection
    schema: pa.Schema
    rows: pa.Table
    complete: bool
    """Whether these are all rows."""


def _head(location: Location | WebFile, spec: FileData, known: Selection | None) -> Head | None:
    """The head of a table, its columns held against the spec, or against those `known` from the training table.

    None where a look costs the whole file.
    """
    if _format(location, spec) == "csv":
        rows, complete = delimited.first_rows(location)
        schema, selection = rows.schema, _selected(rows.column_names, spec, known)
    elif isinstance(location, WebFile):
        parquet.check_web(location)
        return None
    else:
        schema = parquet.schema(location)
        selection = _selected(schema.names, spec, known)
        rows, complete = parquet.first_rows(location, selection.columns[len(selection.features):])
    if complete:
        _check_rows(rows.num_rows, location)
    return Head(selection, schema, rows, complete)


def _check_head(head: Head, task: Task) -> None:
    selection = head.selection
    check_target(head.rows[selection.target], selection.target, task)
    if head.complete and task is Task.CLASSIFICATION:
        labels(head.rows[selection.target], selection.target)
    if selection.weight:
        check_weights(head.rows[selection.weight], selection.weight)
    for name in selection.features:
        check_usable(name, head.schema.field(name).type, selection.pointer(name))
        if head.complete and name in head.rows.column_names and missing(head.rows[name]) == len(head.rows):
            raise InvalidData(f"every value of the column {name!r} is missing; drop it", selection.pointer(name))


def _selected(names: list[str], spec: FileData, known: Selection | None) -> Selection:
    if known is None:
        return select(names, spec)
    check_has(names, known)
    return known


def _names(location: Location, spec: FileData) -> list[str]:
    if _format(location, spec) == "parquet":
        return list(parquet.schema(location).names)
    return list(delimited.first_rows(location)[0].column_names)


def _columns(location: Location, spec: FileData, names: list[str], selection: Selection) -> Columns:
    if _format(location, spec) == "parquet":
        table = parquet.every_row(location, selection.columns)
    else:
        table = delimited.every_row(location, names, selection.columns)
    _check_rows(table.num_rows, location)
    return columns_of(table)


def _check_rows(rows: int, location: Location | WebFile) -> None:
    if not rows:
        raise InvalidData(f"{location.uri!r} has a header and no rows", location.pointer)


def _format(location: Location | WebFile, spec: FileData) -> Format:
    if location.files is not None:
        if spec.format == "csv":
            raise InvalidData(f"{location.uri!r} is a folder, and CSV is read from one file", "/data/format")
        return "parquet"
    if spec.format is not None:
        return spec.format
    path = location.path.lower()
    if path.endswith(parquet.ENDINGS):
        return "parquet"
    if path.endswith((".csv", ".csv.gz")):
        return "csv"
    raise InvalidData(f"{location.uri!r} does not end in .csv, .csv.gz or .parquet; say which it is", "/data/format")


def _name(uri: str) -> str:
    return PurePosixPath(urlsplit(uri).path if "://" in uri else uri).name or uri


def _shown(uri: str) -> str:
    """The address without its query, which may hold a signature."""
    return urlsplit(uri)._replace(query="", fragment="").geturl() if uri.startswith(("http://", "https://")) else uri
