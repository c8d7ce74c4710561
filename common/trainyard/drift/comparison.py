"""Two runs' data compared, column by column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainyard.drift.categories import New, category_bins, new_categories
from trainyard.drift.numbers import number_bins
from trainyard.drift.stability import Bin, Moved, moved, stability_index
from trainyard.drift.words import rows, sentence

TARGET = "(target)"
"""The name under which the target stands among columns, none of which it is."""
Sketch = Mapping[str, Any]


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column moved. `most` is the bin that moved most."""

    name: str
    kind: str
    psi: float
    most: Bin
    missing_before: float
    missing_now: float
    new: New

    @property
    def moved(self) -> Moved:
        """The index in a word."""
        return moved(self.psi)


@dataclass(frozen=True)
class KindChange:
    """A column that held numbers, dates or categories, and holds something else now; the two cannot be compared."""

    name: str
    before: str
    now: str


@dataclass(frozen=True)
class Drift:
    """What changed from the holder's data to the run's.

    `columns` are those that could be compared, the most moved first; `target` is None where it could not be.
    """

    columns: tuple[ColumnDrift, ...]
    target: ColumnDrift | None = None
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    changed: tuple[KindChange, ...] = ()

    @property
    def most_moved(self) -> tuple[ColumnDrift, ...]:
        """The columns and the target together, the most moved first."""
        return _sorted([*self.columns, *([self.target] if self.target else [])])

    @property
    def max_psi(self) -> float:
        """The largest index of a column or the target; 0 where nothing could be compared."""
        return max((each.psi for each in self.most_moved), default=0.0)

    def sentence(self) -> str:
        """What a person should know of it, in words."""
        return sentence(self)

    def as_rows(self) -> list[dict[str, Any]]:
        """A row a column for a table, the most moved first, then what could not be compared."""
        return rows(self)


def compare(mine: Mapping[str, Any], holders: Mapping[str, Any]) -> Drift:
    """Compare `sketches` of the run's data profile with those of the holder's. The order matters: bins are the holder's.

    A column without a sketch is neither gone nor new where a wide table's profile left some out.
    """
    now: Mapping[str, Sketch] = mine.get("columns", {})
    before: Mapping[str, Sketch] = holders.get("columns", {})
    common = [name for name in before if name in now]
    return Drift(
        columns=_sorted(
            [
                _column(name, now[name], before[name])
                for name in common
                if _same_kind(now[name], before[name])
            ]
        ),
        target=_target(mine.get("target"), holders.get("target")),
        gone=() if mine.get("left_out") else tuple(name for name in before if name not in now),
        new=() if holders.get("left_out") else tuple(name for name in now if name not in before),
        changed=tuple(
            KindChange(name, before[name]["kind"], now[name]["kind"])
            for name in common
            if not _same_kind(now[name], before[name])
        ),
    )


def _column(name: str, mine: Sketch, holders: Sketch) -> ColumnDrift:
    categories = holders["kind"] == "category"
    bins = category_bins(mine, holders) if categories else number_bins(mine, holders)
    return ColumnDrift(
        name=name,
        kind=holders["kind"],
        psi=stability_index(bins),
        most=max(bins, key=lambda each: each.term),
        missing_before=holders["missing"],
        missing_now=mine["missing"],
        new=new_categories(mine, holders) if categories else New(),
    )


def _target(mine: Sketch | None, holders: Sketch | None) -> ColumnDrift | None:
    if mine is None or holders is None or not _same_kind(mine, holders):
        return None
    return _column(TARGET, mine, holders)


def _same_kind(mine: Sketch, holders: Sketch) -> bool:
    return bool(mine["kind"] == holders["kind"])


def _sorted(columns: list[ColumnDrift]) -> tuple[ColumnDrift, ...]:
    return tuple(sorted(columns, key=lambda each: (-each.psi, each.name)))
