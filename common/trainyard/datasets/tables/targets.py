"""What is to be predicted: labels to class indices, or numbers to float64."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.contract import Task
from trainyard.datasets.tables.columns import (
    LARGEST_WHOLE_FLOAT,
    check_magnitude,
    check_usable,
    check_whole_numbers,
    codes,
    is_date,
    is_text,
    missing,
    numbers,
    plain,
)
from trainyard.datasets.tables.recognition.reading import Reading, recognised
from trainyard.errors import InvalidData

MAX_CLASSES = 1000
LARGEST_LABEL = 2**63 - 1
"""Labels become MLflow's `long`, an int64."""


def check_target(
    column: pa.ChunkedArray,
    name: str,
    task: Task,
    pointer: str = "/data/target",
    *,
    decimal: str = ".",
) -> None:
    """What must hold for any rows of a target, in a file with this decimal mark. Raises `InvalidData`."""
    read = target_read(column, name, task, pointer, decimal=decimal)
    column = plain(read.column)
    check_usable(name, column.type, pointer)
    if is_date(column.type):
        raise InvalidData(
            f"the target {name!r} holds dates ({column.type}), and numbers or classes are needed; write what is to be predicted, such as days from a date in the same row, as a column of its own",
            pointer,
        )
    _check_present(column, name, pointer)
    if read.doubt:
        raise InvalidData(
            f"the target {name!r} is text that looks like numbers, and {read.doubt}; write it in the table as numbers with a decimal point and without thousands",
            pointer,
        )
    if task is Task.REGRESSION and is_text(column.type):
        raise InvalidData(
            f"the target {name!r} holds strings such as {column[0].as_py()!r}, and regression needs numbers; use a classifier",
            pointer,
        )
    if pt.is_floating(column.type):
        _check_floats(numbers(column), name, task, pointer)
    if pt.is_uint64(column.type) and task is Task.CLASSIFICATION:
        _check_labels(numbers(column), LARGEST_LABEL, name, pointer)
    if task is Task.CLASSIFICATION:
        distinct = pc.count_distinct(column).as_py()
        if distinct > MAX_CLASSES:
            raise InvalidData(
                f"the target {name!r} has {distinct} distinct values, and at most {MAX_CLASSES} classes are possible; use a regressor",
                pointer,
            )


def _check_present(column: pa.ChunkedArray, name: str, pointer: str) -> None:
    absent = missing(column)
    if absent:
        otherwise = ", or where text of a CSV such as None is a class, list in data.csv.missing what stands for a missing value"
        raise InvalidData(
            f"the target {name!r} is missing in {absent} of {len(column)} rows; leave those rows out of the table{otherwise if is_text(column.type) else ''}",
            pointer,
        )


def target_read(
    column: pa.ChunkedArray,
    name: str,
    task: Task,
    pointer: str = "/data/target",
    *,
    decimal: str = ".",
) -> Reading:
    """The target, of a regression as numbers where it is text that holds them. Raises `InvalidData` for whole numbers that are none any more then."""
    if task is not Task.REGRESSION:
        return Reading(column)
    check_whole_numbers(column, f"target {name!r}", pointer)
    return recognised(name, plain(column), decimal)


def labels(
    column: pa.ChunkedArray, name: str, *, fewest: int = 2
) -> tuple[npt.NDArray[np.int64], tuple[Any, ...]]:
    """Class indices of (n,) and the sorted classes: integers, strings or booleans. Raises `InvalidData` for fewer than `fewest`."""
    found, values = codes(whole_numbers(column))
    if len(values) < fewest:
        raise InvalidData(
            f"the target {name!r} has one class only, {values[0]!r}; a classifier needs two or more",
            "/data/target",
        )
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values))
    return ranks[found], tuple(values[position] for position in order)


def whole_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Class labels that are stored as floats, as integers; `check_target` has found them whole. Others as they are."""
    column = plain(column)
    return column.cast(pa.int64()) if pt.is_floating(column.type) else column


def _check_floats(values: npt.NDArray[Any], name: str, task: Task, pointer: str) -> None:
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise InvalidData(
            f"the target {name!r} is infinite in {infinite} rows; leave those rows out of the table",
            pointer,
        )
    if task is Task.REGRESSION:
        check_magnitude(values, f"target {name!r}", pointer)
        return
    _check_labels(np.abs(values), LARGEST_WHOLE_FLOAT, name, pointer)
    if (values != np.floor(values)).any():
        example = float(values[values != np.floor(values)][0])
        raise InvalidData(
            f"the target {name!r} holds continuous numbers such as {example!r}, and classes are needed; use a regressor",
            pointer,
        )


def _check_labels(values: npt.NDArray[Any], largest: int, name: str, pointer: str) -> None:
    """Raise `InvalidData` for numbers that are too large to be class labels."""
    huge = values[values > largest]
    if len(huge):
        raise InvalidData(
            f"the target {name!r} holds the class label {huge[0].item()!r} in one of {len(huge)} such rows, and numbers up to {largest:,} can be told apart; give the labels a letter, as in 'c123', so that they are text",
            pointer,
        )
