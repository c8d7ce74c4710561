"""Sample weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainyard.datasets.splitting import Rows
from trainyard.datasets.tables.columns import (
    check_magnitude,
    is_numeric,
    missing,
    numbers,
    plain,
)
from trainyard.datasets.tables.recognition.reading import Reading, recognised
from trainyard.errors import InvalidData


def weight_read(column: pa.ChunkedArray, name: str, decimal: str = ".") -> Reading:
    """The weight, as numbers where it is text that holds them; `decimal` is the mark in all of the file."""
    return recognised(name, plain(column), decimal)


def check_weights(
    column: pa.ChunkedArray, name: str, *, decimal: str = ".", pointer: str = "/data/weight"
) -> npt.NDArray[np.float64]:
    """The weights as float64 of (n,). Raises `InvalidData` unless all are numbers, present, finite and >= 0."""
    column = weight_read(column, name, decimal).column
    if not is_numeric(column.type):
        raise InvalidData(
            f"the weight {name!r} is of type {column.type}, such as {column[0].as_py()!r}; numbers >= 0 are needed",
            pointer,
        )
    absent = missing(column)
    if absent:
        raise InvalidData(
            f"the weight {name!r} is missing in {absent} rows; numbers >= 0 are needed", pointer
        )
    values: npt.NDArray[Any] = numbers(column).astype(np.float64)
    bad = values[(values < 0) | np.isinf(values)]
    if len(bad):
        raise InvalidData(
            f"the weight {name!r} is {float(bad[0])!r} in one of {len(bad)} such rows; finite numbers >= 0 are needed",
            pointer,
        )
    check_magnitude(values, f"weight {name!r}", pointer)
    return values


def check_parts(
    weights: npt.NDArray[np.float64],
    name: str,
    parts: Mapping[str, Rows],
    y: npt.NDArray[Any],
    classes: Sequence[Any] | None,
) -> None:
    """Raise `InvalidData` where all rows of a part, or of a class in the training part, have the weight 0."""
    for part, rows in parts.items():
        if not weights[rows].any():
            raise InvalidData(
                f"the weight {name!r} is 0 in all {len(rows)} rows of the {part} part; give some of them a weight above 0, or leave the weight out",
                "/data/weight",
            )
    if classes is not None:
        rows = parts["train"]
        weighed = np.bincount(y[rows], weights=weights[rows] > 0, minlength=len(classes))
        if not weighed.all():
            raise InvalidData(
                f"the weight {name!r} is 0 in all rows of class {classes[int(weighed.argmin())]!r} in the training part; weigh some of them above 0, or leave the class out",
                "/data/weight",
            )
