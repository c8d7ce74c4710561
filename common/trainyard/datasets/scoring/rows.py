"""What a scoring is given: its rows in slices, and what is true of them where the data says it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainyard.datasets.splitting import Rows

MOST_MEASURED = 5_000_000
"""Of more rows no metrics are made: their true values and predictions would have to be in memory."""


@dataclass(frozen=True)
class Slice:
    """Some rows: a frame of raw columns or images, uint8 of (n, height, width, channels), and what is kept beside them."""

    x: Any
    kept: pa.Table | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Truth:
    """What is true: class indices or values of (n,), the classes (None for regression), and weights.

    `order`: which of the rows, as they come in slices, each of these is about; None where that is the same order.
    """

    y: npt.NDArray[Any]
    classes: tuple[Any, ...] | None
    weight: npt.NDArray[np.float64] | None = None
    order: Rows | None = None


@dataclass(frozen=True)
class RowsToScore:
    """Rows in slices that can be gone through once, and their truth or why there is none."""

    total: int
    slices: Callable[[], Iterator[Slice]]
    truth: Truth | None
    no_truth: str = ""
