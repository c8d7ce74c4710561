"""What is kept of how values are spread, so that data of another day can be compared with it. All of it is JSON.

A sketch is of all rows of a run's table, whichever part they are in: training, validation and test rows.

Of numbers (booleans count as 0 and 1, dates as seconds since 1970) it is `{"kind": "number" | "date", "missing",
"values", "below", "at_most"}`: some of the values in ascending order, and for each the share of the present
values that is smaller, and the share that is not larger. The values are the quantiles at `PROBABILITIES`, and
every value that at least `OFTEN` of the rows have. Beyond `MOST_SORTED` rows they are those of every second,
third, … row; `missing` is the share among all rows.

Of categories it is `{"kind": "category", "missing", "counts", "others"}`: rows of each of the most frequent
categories, and of all others together.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Sketch = dict[str, Any]
PROBABILITIES = np.array([0, 1, 2.5, *range(5, 100, 5), 97.5, 99, 100]) / 100
OFTEN = 0.02
MOST_SORTED = 1_000_000
MOST_CATEGORIES = 50
LONGEST_CATEGORY = 100
"""Characters. What is longer is text that people wrote, and is cut."""
LARGEST = 1e300
"""Numbers beyond it are taken for it, so that differences stay finite."""
DIGITS = 7
"""Of shares, after the point."""


def table_sketches(frames: Sequence[pd.DataFrame]) -> dict[str, Sketch]:
    """A sketch a column, of the rows of all frames, which have the same columns."""
    columns = zip(*(frame.items() for frame in frames), strict=True)
    return {
        str(column[0][0]): column_sketch([values.array for _, values in column])
        for column in columns
    }


def column_sketch(parts: Sequence[Any]) -> Sketch:
    """The sketch of one column whose values come in several arrays: numbers, dates, or anything with names."""
    if all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):
        return _of_categoricals(parts)
    arrays = [np.asarray(part) for part in parts]
    kinds = {array.dtype.kind for array in arrays}
    if kinds <= set("biuf"):
        return number_sketch(arrays)
    if kinds <= set("mM"):
        return {**number_sketch([_seconds(array) for array in arrays]), "kind": "date"}
    return _of_categoricals([pd.Categorical(array) for array in arrays])


def number_sketch(parts: Sequence[npt.NDArray[Any]]) -> Sketch:
    """The sketch of the numbers in all `parts`; NaN and infinite ones count as missing."""
    rows = sum(map(len, parts))
    present = sum(
        len(part) if _always_there(part) else int(np.isfinite(part).sum()) for part in parts
    )
    step = max(1, math.ceil(rows / MOST_SORTED))
    taken = np.concatenate([part[::step] for part in parts] or [np.empty(0)]).astype(np.float64)
    taken = taken[np.isfinite(taken)].clip(-LARGEST, LARGEST)
    taken.sort()
    values = _values_worth_keeping(taken)
    return {
        "kind": "number",
        "missing": _share(rows - present, rows),
        "values": values.tolist(),
        "below": _shares(np.searchsorted(taken, values, "left"), len(taken)),
        "at_most": _shares(np.searchsorted(taken, values, "right"), len(taken)),
    }


def category_sketch(
    counts: npt.NDArray[Any], labels: pd.Index, *, missing: int = 0, most: int = MOST_CATEGORIES
) -> Sketch:
    """The sketch of categories with so many rows each; the `most` frequent are named, of equal ones the first."""
    first = np.argsort(-counts, kind="stable")[:most]
    first = first[counts[first] > 0]
    kept: Counter[str] = Counter()
    for label, count in zip(labels.take(first).tolist(), counts[first].tolist(), strict=True):
        kept[str(label)[:LONGEST_CATEGORY]] += count
    rows = int(counts.sum())
    return {
        "kind": "category",
        "missing": _share(missing, rows + missing),
        "counts": dict(kept),
        "others": rows - kept.total(),
    }


def target_sketch(y: npt.NDArray[Any], classes: Sequence[Any] | None) -> Sketch:
    """The sketch of class indices into `classes`, all of which are named, or of numbers where `classes` is None."""
    if classes is None:
        return number_sketch([y])
    counts = np.bincount(y, minlength=len(classes))
    return category_sketch(counts, pd.Index(classes), most=len(classes))


def _of_categoricals(parts: Sequence[Any]) -> Sketch:
    """Counts by code where the parts share their categories, as those of one table do, and else by name."""
    shared = parts[0].categories
    if not all(part.categories.equals(shared) for part in parts):
        union = pd.api.types.union_categoricals(list(parts), ignore_order=True)
        parts, shared = [union], union.categories
    counts = sum(np.bincount(part.codes + 1, minlength=len(shared) + 1) for part in parts)
    assert isinstance(counts, np.ndarray)  # of one part or more
    return category_sketch(counts[1:], shared, missing=int(counts[0]))


def _values_worth_keeping(taken: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The quantiles (the smallest value that so many are not larger than) and the frequent values, ascending.

    Of sorted values, one that occurs `often` times is met by each walk in steps of `often`.
    """
    if not len(taken):
        return taken
    positions = np.maximum(np.ceil(PROBABILITIES * len(taken)).astype(np.int64) - 1, 0)
    often = max(2, math.ceil(OFTEN * len(taken)))
    met = taken[::often]
    times = np.searchsorted(taken, met, "right") - np.searchsorted(taken, met, "left")
    return np.unique(np.concatenate([taken[positions], met[times >= often]]))


def _always_there(part: npt.NDArray[Any]) -> bool:
    return part.dtype.kind != "f"


def _seconds(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Dates or durations as seconds; NaN where there is none."""
    unit = array.astype(f"{array.dtype.kind}8[us]")
    return np.where(np.isnat(unit), np.nan, unit.astype(np.int64) / 1e6)


def _shares(counts: npt.NDArray[Any], of: int) -> list[float]:
    shares: list[float] = np.round(counts / max(of, 1), DIGITS).tolist()
    return shares


def _share(count: int, of: int) -> float:
    return round(count / of, DIGITS) if of else 0.0
