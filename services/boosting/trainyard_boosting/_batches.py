"""Rows of a table that does not fit in memory, as both libraries take them: some at a time."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost
from trainyard.trainer import Part

from trainyard_boosting._tables import Table

ROWS_AT_ONCE = 1 << 16


def slices(rows: int) -> Iterator[slice]:
    """Of so many rows, in order."""
    return (slice(at, at + ROWS_AT_ONCE) for at in range(0, rows, ROWS_AT_ONCE))


class XGBoostBatches(xgboost.DataIter):  # type: ignore[misc,unused-ignore] # typed in parts only
    """A part for `ExtMemQuantileDMatrix`, which keeps what it makes of it in a temporary folder."""

    def __init__(self, table: Table, part: Part, weight: npt.NDArray[Any] | None) -> None:
        self._table, self._part, self._weight = table, part, weight
        self._slices = slices(len(part))
        super().__init__(cache_prefix=str(Path(tempfile.mkdtemp()) / "pages"))

    def next(self, input_data: Any) -> bool:
        """Give the next rows to XGBoost; False where there are none."""
        rows = next(self._slices, None)
        if rows is None:
            return False
        input_data(
            data=self._table.encode(self._part.x.iloc[rows]),
            label=self._part.y[rows],
            weight=None if self._weight is None else self._weight[rows],
        )
        return True

    def reset(self) -> None:
        """Begin again."""
        self._slices = slices(len(self._part))


class LightGBMBatches(lightgbm.Sequence):  # type: ignore[misc,unused-ignore] # typed in parts only
    """A part as LightGBM asks for it: rows by their positions, as float64 of (n, columns), categories by their codes."""

    batch_size = ROWS_AT_ONCE

    def __init__(self, table: Table, part: Part) -> None:
        self._table, self._part = table, part
        self._held: tuple[int, npt.NDArray[np.float64]] | None = None

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, index: Any) -> npt.NDArray[np.float64]:
        if isinstance(index, slice):
            return self._encoded(index)
        if isinstance(index, list | np.ndarray):
            return np.stack([self[int(each)] for each in index])
        batch, row = divmod(int(index), ROWS_AT_ONCE)
        if self._held is None or self._held[0] != batch:  # single rows are asked for in order
            at = batch * ROWS_AT_ONCE
            self._held = batch, self._encoded(slice(at, at + ROWS_AT_ONCE))
        found: npt.NDArray[np.float64] = self._held[1][row]
        return found

    def _encoded(self, rows: slice) -> npt.NDArray[np.float64]:
        encoded = self._table.encode(self._part.x.iloc[rows])
        out = np.empty(encoded.shape)
        for position, (_, values) in enumerate(encoded.items()):
            out[:, position] = _numbers(values)
        return out


def _numbers(values: pd.Series) -> npt.NDArray[np.float64]:
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return values.to_numpy(dtype=np.float64)
    codes = values.cat.codes.to_numpy()
    return np.where(codes < 0, np.nan, codes)
