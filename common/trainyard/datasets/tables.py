"""A table's columns to the parts of `Data`, one column at a time, so that the table is never held twice."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from trainyard.contract import Split, Task
from trainyard.datasets.columns import numbers
from trainyard.datasets.features import feature, parts_of
from trainyard.datasets.profile import profile
from trainyard.datasets.selection import Selection
from trainyard.datasets.splitting import Rows, partition
from trainyard.datasets.targets import check_target, labels
from trainyard.datasets.weights import check_weights
from trainyard.errors import InvalidData
from trainyard.trainer import Data, Part

Columns = dict[str, pa.ChunkedArray]


@dataclass(frozen=True)
class Origin:
    """What a data set is called, where it came from, and how many of its last rows are set apart for the test."""

    name: str
    source: str
    test_rows: int = 0


def columns_of(table: pa.Table) -> Columns:
    """The columns by name. Drop `table` after this, so that each column's memory goes as it is used up."""
    return dict(zip(table.column_names, table.columns, strict=True))


def tabulate(columns: Columns, selection: Selection, split: Split, *, task: Task, origin: Origin) -> Data:
    """Split and type a table; `columns` are used up. Raises `InvalidData`.

    `x` of a part is a frame of (rows, features): numbers in the table's own dtype, strings and columns
    named categorical as categoricals whose sorted categories are the training part's.
    """
    y, classes = _target(columns.pop(selection.target), selection.target, task)
    weight = check_weights(columns.pop(selection.weight), selection.weight) if selection.weight else None
    parts = _parts(y, classes, split, origin)
    digest = hashlib.sha256(repr((task.value, sorted(selection.categorical), origin.test_rows, classes)).encode("utf-8", "backslashreplace"))
    digest.update(y.data)
    digest.update(b"" if weight is None else weight.data)
    frames: dict[str, dict[str, Any]] = {part: {} for part in parts}
    for name in selection.features:
        one = feature(name, columns.pop(name), is_category=name in selection.categorical, pointer=selection.pointer(name))
        for part, values in parts_of(one, parts, digest.update).items():
            frames[part][name] = values
    made = {
        part: Part(pd.DataFrame(frames.pop(part), copy=False), y[rows], None if weight is None else weight[rows])
        for part, rows in parts.items()
    }
    described = profile(
        y, classes, columns={name: str(kind) for name, kind in made["train"].x.dtypes.items()},
        sizes={part: len(rows) for part, rows in parts.items()},
    )
    return Data(
        kind="table", name=origin.name, source=origin.source, digest=digest.hexdigest(), task=task, train=made["train"],
        validation=made.get("validation"), test=made["test"], target=selection.target, classes=classes, profile=described,
    )


def _target(column: pa.ChunkedArray, name: str, task: Task) -> tuple[npt.NDArray[Any], tuple[Any, ...] | None]:
    check_target(column, name, task)
    if task is Task.CLASSIFICATION:
        return labels(column, name)
    return numbers(column).astype(np.float64), None


def _parts(y: npt.NDArray[Any], classes: tuple[Any, ...] | None, split: Split, origin: Origin) -> dict[str, Rows]:
    """Row numbers by part: train, validation where asked for, test."""
    own = len(y) - origin.test_rows
    _check_classes(y[:own], classes, "/data/test_uri", "occurs in the test table only; add rows of it to the training table, or leave it out")
    divided = partition(y[:own], split, classes=classes, with_test=not origin.test_rows)
    _check_classes(y[divided.train], classes, "/split/stratify", "has no row in the training part; set split.stratify to true, or leave it out")
    test = np.arange(own, len(y)) if divided.test is None else divided.test
    parts = {"train": divided.train, "validation": divided.validation, "test": test}
    return {part: rows for part, rows in parts.items() if rows is not None}


def _check_classes(y: npt.NDArray[Any], classes: tuple[Any, ...] | None, pointer: str, complaint: str) -> None:
    if classes is not None:
        absent = np.flatnonzero(np.bincount(y, minlength=len(classes)) == 0)
        if len(absent):
            raise InvalidData(f"class {classes[absent[0]]!r} {complaint}", pointer)
