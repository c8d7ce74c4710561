"""Rows of a table that does not fit in memory: of columns in mapped files (`datasets/tables/on_disk.py`), or of a file of rows.

Left to itself the kernel reads ahead of each place that is looked at, on some machines by megabytes, and short memory
keeps nothing of it until the next rows are asked for: a table is then read many times over.
"""

import math
import mmap
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def rows_of(frame: pd.DataFrame, rows: slice) -> pd.DataFrame:
    """These rows of the frame; of columns in files a copy in memory, for which nothing else is read."""
    if not frame.shape[1] or _map_below(frame.iloc[:, 0].array) is None:
        return frame.iloc[rows]
    read = {name: _read(frame.iloc[:, at].array, rows) for at, name in enumerate(frame.columns)}
    return pd.DataFrame(read, index=frame.index[rows], copy=False)


@dataclass(frozen=True)
class RowsInFile:
    """Rows of one type that lie in a file one behind the other, (n, …): those that are asked for are copied into memory."""

    mapped: npt.NDArray[Any]

    @classmethod
    def of(cls, file: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> "RowsInFile":
        """The file's, as an array of this shape, which has a row at least."""
        return cls(np.asarray(np.memmap(file, dtype, mode="r", shape=shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all rows."""
        return self.mapped.shape

    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """The rows of a slice, or those at these positions of (k,), for which nothing else is read."""
        found = _map_below(self.mapped)
        assert found is not None
        if isinstance(rows, slice):
            _announce(found[0], self.mapped[rows])
            return self.mapped[rows].copy()
        _announce_each(found[0], rows, self.mapped.strides[0])
        return self.mapped[rows]


def _read(column: Any, rows: slice) -> Any:
    """The values of a column, each of which is read before the next one's: they need no room together but their own."""
    found = _map_below(column)
    if found is None:
        return column[rows]
    mapped, values = found
    wanted = values[rows]
    _announce(mapped, wanted)
    copied = wanted.copy()
    if isinstance(column, pd.Categorical):
        return pd.Categorical.from_codes(copied, dtype=column.dtype)
    return copied


def _announce(mapped: mmap.mmap, wanted: npt.NDArray[Any]) -> None:
    """Have the kernel read these values of (n,) or (n, …), which lie in the mapped file."""
    if not len(wanted):
        return
    start = _address(wanted) - _address(np.frombuffer(mapped, np.uint8))
    row_bytes = wanted.itemsize * math.prod(wanted.shape[1:])
    end = start + (len(wanted) - 1) * wanted.strides[0] + row_bytes
    start -= start % mmap.PAGESIZE
    with suppress(OSError):  # then it reads them when they are looked at
        mapped.madvise(mmap.MADV_RANDOM)
        mapped.madvise(mmap.MADV_WILLNEED, start, end - start)


def _announce_each(mapped: mmap.mmap, rows: npt.NDArray[np.int64], row_bytes: int) -> None:
    """Have the kernel read the rows at these positions, all of them at the same time."""
    with suppress(OSError):  # as above
        mapped.madvise(mmap.MADV_RANDOM)
        for start in (rows * row_bytes).tolist():
            before = start % mmap.PAGESIZE
            mapped.madvise(mmap.MADV_WILLNEED, start - before, before + row_bytes)


def _map_below(column: Any) -> tuple[mmap.mmap, npt.NDArray[Any]] | None:
    """The mapped file that the values of a column lie in, and the values; None for a column in memory."""
    values = column.codes if isinstance(column, pd.Categorical) else np.asarray(column)
    below: Any = values
    while isinstance(below, np.ndarray):
        below = below.base
    return (below, values) if isinstance(below, mmap.mmap) else None


def _address(values: npt.NDArray[Any]) -> int:
    return int(values.__array_interface__["data"][0])
