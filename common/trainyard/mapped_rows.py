"""Rows of a table that does not fit in memory, whose columns are files that are mapped (`datasets/tables/on_disk.py`)."""

import mmap
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def rows_of(frame: pd.DataFrame, rows: slice) -> pd.DataFrame:
    """These rows of the frame; of columns in files a copy in memory, for which nothing else is read.

    Left to itself the kernel reads ahead of each place that is looked at, on some machines by megabytes, and short memory
    keeps nothing of it until the next rows are asked for: a table is then read many times over.
    """
    if not frame.shape[1] or _map_below(frame.iloc[:, 0].array) is None:
        return frame.iloc[rows]
    read = {name: _read(frame.iloc[:, at].array, rows) for at, name in enumerate(frame.columns)}
    return pd.DataFrame(read, index=frame.index[rows], copy=False)


def _read(column: Any, rows: slice) -> Any:
    """The values of a column, each of which is read before the next one's: they need no room together but their own."""
    found = _map_below(column)
    if found is None:
        return column[rows]
    mapped, values = found
    wanted = values[rows]
    if len(wanted):
        _announce(mapped, wanted)
    copied = wanted.copy()
    if isinstance(column, pd.Categorical):
        return pd.Categorical.from_codes(copied, dtype=column.dtype)
    return copied


def _announce(mapped: mmap.mmap, wanted: npt.NDArray[Any]) -> None:
    """Have the kernel read these values, which lie in the mapped file."""
    start = _address(wanted) - _address(np.frombuffer(mapped, np.uint8))
    end = start + (len(wanted) - 1) * wanted.strides[0] + wanted.itemsize
    start -= start % mmap.PAGESIZE
    with suppress(OSError):  # then it reads them when they are looked at
        mapped.madvise(mmap.MADV_RANDOM)
        mapped.madvise(mmap.MADV_WILLNEED, start, end - start)


def _map_below(column: Any) -> tuple[mmap.mmap, npt.NDArray[Any]] | None:
    """The mapped file that the values of a column lie in, and the values; None for a column in memory."""
    values = column.codes if isinstance(column, pd.Categorical) else np.asarray(column)
    below: Any = values
    while isinstance(below, np.ndarray):
        below = below.base
    return (below, values) if isinstance(below, mmap.mmap) else None


def _address(values: npt.NDArray[Any]) -> int:
    return int(values.__array_interface__["data"][0])
