"""The bins of a column of categories, and which of the run's categories the holder's rows did not have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainyard.drift.stability import Bin


@dataclass(frozen=True)
class Shares:
    """The shares of all rows that have each named category, any other one, or none."""

    named: Mapping[str, float]
    others: float
    missing: float


@dataclass(frozen=True)
class New:
    """The share of the run's rows in categories that the holder's rows did not have, and those that can be named."""

    share: float = 0.0
    names: tuple[str, ...] = ()


def category_bins(mine: Mapping[str, Any], holders: Mapping[str, Any]) -> list[Bin]:
    """The bins of two sketches of kind `category`: each category that both know, all others, and missing ones.

    A category that one sketch may hold among its others, unnamed, is among the others for both.
    """
    now, before = _shares(mine), _shares(holders)
    own = [name for name in before.named if name in now.named or not now.others]
    bins = [Bin(repr(name), before.named[name], now.named.get(name, 0.0)) for name in own]
    others_before = before.others + sum(before.named.values()) - sum(each.before for each in bins)
    others_now = now.others + sum(now.named.values()) - sum(each.now for each in bins)
    label = "other categories" if before.others else "new categories"
    return [
        *bins,
        Bin(label, max(others_before, 0.0), max(others_now, 0.0)),
        Bin("missing", before.missing, now.missing),
    ]


def new_categories(mine: Mapping[str, Any], holders: Mapping[str, Any]) -> New:
    """Exact while both sketches name every category, and else an estimate.

    Of rows in categories that may be among the holder's unnamed ones, or that the run's sketch does not name, those
    count as new that are a larger share than the holder had of them.
    """
    now, before = _shares(mine), _shares(holders)
    fresh = {name: share for name, share in now.named.items() if name not in before.named}
    unnamed = sum(share for name, share in before.named.items() if name not in now.named)
    might_be_old = before.others + (unnamed if now.others else 0.0)
    excess = sum(fresh.values()) + now.others - might_be_old
    if before.others:
        return New(_share(excess))
    return New(_share(max(sum(fresh.values()), excess)), tuple(fresh))


def _shares(sketch: Mapping[str, Any]) -> Shares:
    counts, missing = sketch["counts"], sketch["missing"]
    rows = max(sum(counts.values()) + sketch["others"], 1)
    each = (1 - missing) / rows
    return Shares(
        {name: count * each for name, count in counts.items()}, sketch["others"] * each, missing
    )


def _share(value: float) -> float:
    """A sum of shares without what floats add to it."""
    return round(float(min(max(value, 0.0), 1.0)), 7)
