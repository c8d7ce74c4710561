"""The bins of a column of numbers: the deciles of the holder's rows, and the run's share in each."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from trainyard.drift.stability import Bin

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
OWN_BIN = 0.1
"""A value that so many of the holder's rows have, as 0 often is, is a bin of its own."""
START_OF_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Curve:
    """The cumulative shares of a sketch: exact at its values, a straight line between two of them."""

    values: Sequence[float]
    below: Sequence[float]
    at_most: Sequence[float]

    def at(self, value: float) -> tuple[float, float]:
        """The share of present rows that is smaller than `value`, and that is not larger."""
        right = bisect_left(self.values, value)
        if right == len(self.values):
            return (1.0, 1.0) if right else (0.0, 0.0)
        if self.values[right] == value:
            return self.below[right], self.at_most[right]
        if right == 0:
            return 0.0, 0.0
        left = right - 1
        way = (value - self.values[left]) / (self.values[right] - self.values[left])
        share = self.at_most[left] + way * (self.below[right] - self.at_most[left])
        return share, share


@dataclass(frozen=True)
class Cut:
    """Where one bin ends: in words, and the shares of rows up to there."""

    label: str
    before: float
    now: float


def number_bins(mine: Mapping[str, Any], holders: Mapping[str, Any]) -> list[Bin]:
    """The bins of two sketches of kind `number`, or of kind `date`. Missing values are a bin of their own."""
    cuts = list(_cuts(_curve(mine), _curve(holders), holders["kind"]))
    present, present_before = 1 - mine["missing"], 1 - holders["missing"]
    bins: list[Bin] = []
    before = now = 0.0
    for cut in cuts:
        bins.append(
            Bin(
                cut.label,
                max(cut.before - before, 0.0) * present_before,
                max(cut.now - now, 0.0) * present,
            )
        )
        before, now = max(cut.before, before), max(cut.now, now)
    return [*bins, Bin("missing", holders["missing"], mine["missing"])]


def _cuts(mine: Curve, holders: Curve, kind: str) -> Iterator[Cut]:
    """The ends of the bins in ascending order; the last is the end of all values."""
    lower: str | None = None
    for place in sorted({bisect_left(holders.at_most, decile) for decile in DECILES}):
        if place == len(holders.values):  # no value at all
            break
        value = holders.values[place]
        word = _written(value, kind)
        below, at_most = mine.at(value)
        if holders.at_most[place] - holders.below[place] >= OWN_BIN:
            yield Cut(_range(lower, word, "below"), holders.below[place], below)
            yield Cut(word, holders.at_most[place], at_most)
        else:
            yield Cut(_range(lower, word, "up to"), holders.at_most[place], at_most)
        lower = word
    yield Cut("any value" if lower is None else f"above {lower}", 1.0, 1.0)


def _range(lower: str | None, upper: str, first: str) -> str:
    return f"{first} {upper}" if lower is None else f"between {lower} and {upper}"


def _written(value: float, kind: str) -> str:
    """The value as people read it: four digits, or the day."""
    if kind == "date":
        try:
            return (START_OF_TIME + timedelta(seconds=value)).date().isoformat()
        except OverflowError:  # before the year 1 or after 9999
            pass
    return f"{value:.4g}"


def _curve(sketch: Mapping[str, Any]) -> Curve:
    return Curve(sketch["values"], sketch["below"], sketch["at_most"])
