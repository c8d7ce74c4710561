"""Sample weights."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainyard.datasets.columns import is_numeric, missing, numbers, plain
from trainyard.errors import InvalidData


def check_weights(column: pa.ChunkedArray, name: str, pointer: str = "/data/weight") -> npt.NDArray[np.float64]:
    """The weights as float64 of (n,). Raises `InvalidData` unless all are numbers, present, finite and >= 0."""
    column = plain(column)
    if not is_numeric(column.type):
        raise InvalidData(f"the weight {name!r} is of type {column.type}; numbers >= 0 are needed", pointer)
    absent = missing(column)
    if absent:
        raise InvalidData(f"the weight {name!r} is missing in {absent} rows; numbers >= 0 are needed", pointer)
    values: npt.NDArray[Any] = numbers(column).astype(np.float64)
    bad = values[(values < 0) | np.isinf(values)]
    if len(bad):
        raise InvalidData(f"the weight {name!r} is {float(bad[0])!r} in one of {len(bad)} such rows; finite numbers >= 0 are needed", pointer)
    return values
