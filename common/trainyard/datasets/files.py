"""Tables in files: CSV, gzipped CSV, Parquet, and folders of Parquet."""

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
    found = _inspected(locate(spec.uri, access), spec, None)
    if found is None:
        return
    selection, table, complete = found
    check_target(table[selection.target], selection.target, task)
    if complete and task is Task.CLASSIFICATION:
        labels(table[selection.target], selection.target)
    if selection.weight:
        check_weights(table[selection.weight], selection.weight)
    for name in selection.features:
        check_usable(name, table[name].type, selection.pointer(name))
        if complete and missing(table[name]) == len(table[name]):
            raise InvalidData(f"every value of the column {name!r} is missing; drop it", selection.pointer(name))
    if spec.test_uri is not None:
        tested = _inspected(locate(spec.test_uri, access, "/data/test_uri"), spec, selection)
        if tested is not None:
            check_target(tested[1][selection.target], selection.target, task, "/data/test_uri")


def _inspected(location: Location | WebFile, spec: FileData, known: Selection | None) -> tuple[Selection, pa.Table, bool] | None:
    """The selection, the first rows, and whether they are all; None where a look costs the whole file."""
    if _format(location, spec) == "csv":
        table, complete = delimited.first_rows(location)
        selection = _selected(table.column_names, spec, known)
    elif isinstance(location, WebFile):
        parquet.check_web(location)
        return None
    else:
        selection = _selected(parquet.column_names(location), spec, known)
        table, complete = parquet.first_rows(location, selection.columns)
    if complete or table.num_rows:
        _check_rows(table.num_rows, location)
    return selection, table, complete


def _selected(names: list[str], spec: FileData, known: Selection | None) -> Selection:
    if known is None:
        return select(names, spec)
    check_has(names, known)
    return known


def _names(location: Location, spec: FileData) -> list[str]:
    if _format(location, spec) == "parquet":
        return parquet.column_names(location)
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
