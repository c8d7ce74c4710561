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
from trainyard.mapped_rows import rows_of
from trainyard.trainer import Part
from trainyard.world import World

from trainyard_boosting._tables import Table

ALONE = World()
ROWS_AT_ONCE = 1 << 16
NUMBERS_AT_ONCE = 1 << 22
"""32 MB of float64: of a table with thousands of columns fewer rows are taken at once."""


def rows_at_once(columns: int) -> int:
    """Of a table with so many columns."""
    return max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // max(columns, 1)))


def slices(rows: int, at_once: int, *, rank: int = 0, size: int = 1) -> Iterator[slice]:
    """Of so many rows, in order; of one of `size` ranks those that `World.rows` gives it."""
    whole = at_once * size
    return (slice(at, at - rank + whole, size) for at in range(rank, rows, whole))


class XGBoostBatches(xgboost.DataIter):  # type: ignore[misc,unused-ignore] # typed in parts only
    """A part, or a rank's share of it, for `ExtMemQuantileDMatrix`, which keeps what it makes of it in a temporary folder."""

    def __init__(
        self, table: Table, part: Part, weight: npt.NDArray[Any] | None, world: World = ALONE
    ) -> None:
        self._table, self._part, self._weight, self._world = table, part, weight, world
        self.reset()
        super().__init__(cache_prefix=str(Path(tempfile.mkdtemp()) / "pages"))

    def next(self, input_data: Any) -> bool:
        """Give the next rows to XGBoost; False where there are none."""
        rows = next(self._slices, None)
        if rows is None:
            return False
        input_data(
            data=self._table.encode(rows_of(self._part.x, rows)),
            label=self._part.y[rows],
            weight=None if self._weight is None else self._weight[rows],
        )
        return True

    def reset(self) -> None:
        """Begin again."""
        at_once = rows_at_once(len(self._table.columns))
        rank, size = self._world.rank, self._world.size
        self._slices = slices(len(self._part), at_once, rank=rank, size=size)


class LightGBMBatches(lightgbm.Sequence):  # type: ignore[misc,unused-ignore] # typed in parts only
    """A part, or a rank's share of it, as LightGBM asks for it: rows by their positions, as float64 of (n, columns), categories by their codes."""

    def __init__(self, table: Table, part: Part, world: World = ALONE) -> None:
        self._table, self._part = table, part
        self._own = range(world.rank, len(part), world.size)
        self.batch_size = rows_at_once(len(table.columns))
        self._held: tuple[int, npt.NDArray[np.float64]] | None = None

    def __len__(self) -> int:
        return len(self._own)

    def __getitem__(self, index: Any) -> npt.NDArray[np.float64]:
        if isinstance(index, slice):
            return self._encoded(index)
        if isinstance(index, list | np.ndarray):
            return np.stack([self[int(each)] for each in index])
        batch, row = divmod(int(index), self.batch_size)
        if self._held is None or self._held[0] != batch:  # single rows are asked for in order
            at = batch * self.batch_size
            self._held = batch, self._encoded(slice(at, at + self.batch_size))
        found: npt.NDArray[np.float64] = self._held[1][row]
        return found

    def _encoded(self, rows: slice) -> npt.NDArray[np.float64]:
        own = self._own[rows]
        encoded = self._table.encode(rows_of(self._part.x, slice(own.start, own.stop, own.step)))
        out = np.empty(encoded.shape)
        for position, (_, values) in enumerate(encoded.items()):
            out[:, position] = _numbers(values)
        return out


def _numbers(values: pd.Series) -> npt.NDArray[np.float64]:
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return values.to_numpy(dtype=np.float64)
    codes = values.cat.codes.to_numpy()
    return np.where(codes < 0, np.nan, codes)
