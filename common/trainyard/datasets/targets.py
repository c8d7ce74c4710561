"""What is to be predicted: labels to class indices, or numbers to float64."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.contract import Task
from trainyard.datasets.columns import check_usable, codes, is_text, missing, numbers, plain
from trainyard.errors import InvalidData

MAX_CLASSES = 1000


def check_target(column: pa.ChunkedArray, name: str, task: Task, pointer: str = "/data/target") -> None:
    """What must hold for any rows of a target. Raises `InvalidData`."""
    column = plain(column)
    check_usable(name, column.type, pointer)
    absent = missing(column)
    if absent:
        raise InvalidData(f"the target {name!r} is missing in {absent} of {len(column)} rows; leave those rows out of the table", pointer)
    if task is Task.REGRESSION and is_text(column.type):
        raise InvalidData(f"the target {name!r} holds strings such as {column[0].as_py()!r}, and regression needs numbers; use a classifier", pointer)
    if pt.is_floating(column.type):
        _check_floats(numbers(column), name, task, pointer)
    if task is Task.CLASSIFICATION:
        distinct = pc.count_distinct(column).as_py()
        if distinct > MAX_CLASSES:
            raise InvalidData(f"the target {name!r} has {distinct} distinct values, and at most {MAX_CLASSES} classes are possible; use a regressor", pointer)


def labels(column: pa.ChunkedArray, name: str) -> tuple[npt.NDArray[np.int64], tuple[Any, ...]]:
    """Class indices of (n,) and the sorted classes: integers, strings or booleans. Raises `InvalidData` for one class."""
    found, values = codes(whole_numbers(column))
    if len(values) < 2:  # noqa: PLR2004 - one class is nothing to tell apart
        raise InvalidData(f"the target {name!r} has one class only, {values[0]!r}; a classifier needs two or more", "/data/target")
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values))
    return ranks[found], tuple(values[position] for position in order)


def whole_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Labels stored as floats, whole ones as checked, as integers; others as they are."""
    column = plain(column)
    return column.cast(pa.int64()) if pt.is_floating(column.type) else column


def _check_floats(values: npt.NDArray[Any], name: str, task: Task, pointer: str) -> None:
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise InvalidData(f"the target {name!r} is infinite in {infinite} rows; leave those rows out of the table", pointer)
    if task is Task.CLASSIFICATION and (values != np.floor(values)).any():
        example = float(values[values != np.floor(values)][0])
        raise InvalidData(f"the target {name!r} holds continuous numbers such as {example!r}, and classes are needed; use a regressor", pointer)
