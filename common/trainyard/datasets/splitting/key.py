"""What rows are divided by where it is not chance: one value a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from trainyard.datasets.splitting.parts import Rows


@dataclass(frozen=True)
class Key:
    """The values of the column that `split.column` names; those of a separate test table are the last.

    `values`, of (n,): by time, numbers in the order of the times; by group, the position of each row's group
    among the sorted groups; by column, the position of each row's part in `by_column.PARTS`.
    `said` gives one of them back as the table has it, as JSON: a string, ISO-8601 for times, or a number.
    """

    column: str
    values: npt.NDArray[Any]
    said: Callable[[Any], str | int | float]
    test_rows: int = 0

    def of_parts(self, parts: Mapping[str, Rows]) -> dict[str, npt.NDArray[Any]]:
        """The values of the rows of each part."""
        return {part: self.values[rows] for part, rows in parts.items()}

    @property
    def own(self) -> npt.NDArray[Any]:
        """The values of the rows that are to be divided: all but those of a separate test table."""
        return self.values[: len(self.values) - self.test_rows]

    @property
    def tested(self) -> npt.NDArray[Any]:
        """The values of the rows of a separate test table."""
        return self.values[len(self.values) - self.test_rows :]
