"""The rows of each part."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Partition:
    """Row numbers of each part; `validation` is None when none was asked for, `test` when it lies elsewhere."""

    train: Rows
    validation: Rows | None
    test: Rows | None

    @property
    def parts(self) -> dict[str, Rows]:
        """The parts there are, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: rows for name, rows in named.items() if rows is not None}
