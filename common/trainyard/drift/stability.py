"""The population stability index of one column: two spreads over the same bins, as one number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SOME_FROM: Final = 0.1
MUCH_FROM: Final = 0.25
FLOOR = 1e-4
"""What an empty bin's share is taken for, because the logarithm of nothing is not finite."""


class Moved(StrEnum):
    """How far a column has moved, by the thresholds of N. Siddiqi, Credit Risk Scorecards (Wiley, 2006)."""

    LITTLE = "little"
    SOME = "some"
    MUCH = "much"


@dataclass(frozen=True)
class Bin:
    """Some of a column's values, in words, and the shares of all rows that had and have them."""

    label: str
    before: float
    now: float

    @property
    def term(self) -> float:
        """What the bin adds to the index: (now - before) * ln(now / before), which is never negative."""
        before, now = max(self.before, FLOOR), max(self.now, FLOOR)
        return (now - before) * math.log(now / before)


def stability_index(bins: Sequence[Bin]) -> float:
    """The population stability index: the sum over bins of (now - before) * ln(now / before).

    As in B. Yurdakul, Statistical Properties of Population Stability Index (Western Michigan University, 2018),
    https://scholarworks.wmich.edu/dissertations/3208. Between data that differ by chance alone it is about
    (bins - 1) * (1 / rows before + 1 / rows now). It is 0 for equal shares; a share below `FLOOR` counts as `FLOOR`.
    """
    return math.fsum(each.term for each in bins)


def moved(index: float) -> Moved:
    """Little below 0.1, some up to 0.25, much beyond."""
    if index < SOME_FROM:
        return Moved.LITTLE
    return Moved.SOME if index <= MUCH_FROM else Moved.MUCH
