"""Features that a person should look at: constants, identifiers, and what gives the target away."""

from collections.abc import Iterable, Mapping
from typing import Any
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.datasets.splitting import Rows
from trainyard.datasets.tables.columns import is_text
from trainyard.datasets.tables.features import Feature
from trainyard.datasets.tables.strays import is_total, totals_of
from trainyard.raw_columns import same
from trainyard.suggestions import told_apart

Floats = npt.NDArray[np.float64]
FEWEST_ROWS = 50
"""Fewer values may all differ by chance."""
FEWEST_TESTS = 30
"""Rows of the test part: fewer may be predicted perfectly by chance."""
FIRST_ROWS = 1_000
NINES = frozenset({99, 999, 9_999, 99_999, 999_999, 9_999_999})
LEAST_SPREAD = 10
"""Of the largest of the others, for -1 to stand for a missing value: among fewer it may be a score."""
FAR = 2
"""So many times the largest of the others is a number of nines that stands for a missing value."""
LIKELY_YEARS = (1000, 2500)
TRUTHS = {
    **dict.fromkeys(("true", "yes", "y", "t", "on", "1"), True),
    **dict.fromkeys(("false", "no", "n", "f", "off", "0"), False),
}
MOST_TRUTHS = 20
MOST_SPELT = 1_000
"""Categories: among more, some are alike by chance, as codes of letters are."""
TRAIN_ROWS, TEST_ROWS = 5_000, 2_000
MOSTLY, MANY = 0.95, 0.5
"""Of all rows, so many values of text that differ are said to be nearly all, and to be many."""
NEARLY_ALL = 0.9999
"""R2 from which numbers count as predicted perfectly."""


def of_values(each: Feature) -> str | None:
    """A sentence about a column whose values are all the same, or all different."""
    column, name = each.column, each.name
    first = column.slice(0, FIRST_ROWS)
    distinct = _distinct(first)
    if distinct == 1 and _distinct(column) == 1:
        return f"the column {name!r} is {column[0].as_py()!r} in every row, so nothing can be learnt from it; drop it"
    may_identify = is_text(column.type) or pt.is_integer(column.type)
    least = MANY if is_text(column.type) else MOSTLY
    if not may_identify or len(column) < FEWEST_ROWS or distinct < least * len(first):
        return None
    count = _distinct(column)
    if is_text(column.type) and MOSTLY * len(column) <= count < len(column):
        return f"the column {name!r} has {count:,} different values in {len(column):,} rows, nearly as many as identifiers have, which say nothing about new rows; drop it, unless its values have a meaning"
    if is_text(column.type) and MANY * len(column) <= count < len(column):
        return f"the column {name!r} is text with {count:,} different values in {len(column):,} rows, of which few rows tell; where they are numbers, dates or times, write them in the table as such"
    if count == len(column):
        return f"all {len(column)} values of the column {name!r} differ, as identifiers do, which say nothing about new rows; drop it, unless its values have a meaning"
    return None


def of_stand_ins(each: Feature) -> str | None:
    """A sentence about numbers among which one of nines, such as -999, stands far from all others, or -1 alone below 0, and more than once."""
    column, name = each.column, each.name
    if not (pt.is_integer(column.type) or pt.is_floating(column.type)):
        return None
    ends = pc.min_max(column).as_py()
    for end, sign in (("min", -1), ("max", 1)):
        if ends[end] is None or (sign * ends[end] not in NINES and ends[end] != -1):
            continue
        others = column.filter(pc.not_equal(column, ends[end]))
        rows = len(column) - len(others) - column.null_count
        low, high = pc.min_max(others).as_py().values()
        is_far = low is not None and low >= 0 and (sign < 0 or FAR * high <= ends[end])
        is_far = is_far and (ends[end] != -1 or high > LEAST_SPREAD)
        if rows > 1 and is_far:
            return f"the column {name!r} is {ends[end]:g} in {rows} of {len(column)} rows, and in no other below 0 or above {high:g}, so it may stand for a missing value; where it does, leave it empty in the table"
    return None


def of_stand_in_dates(each: Feature) -> str | None:
    """A sentence about dates among which some lie far from all that a table tells of, such as 9999-12-31."""
    column, name = each.column, each.name
    if not pt.is_timestamp(column.type):
        return None
    years = pc.year(column)
    ends = pc.min_max(years).as_py()
    far = [year for year in ends.values() if year is not None and not _is_likely(year)]
    likely = pc.sum(
        pc.and_(pc.greater_equal(years, LIKELY_YEARS[0]), pc.less(years, LIKELY_YEARS[1]))
    )
    if not far or 2 * (likely.as_py() or 0) < len(column) - column.null_count:
        return None
    found = column.filter(pc.equal(years, far[0]))
    return f"the column {name!r} is {str(found[0].as_py())[:10]} in {len(found)} of {len(column)} rows, far from most others, so it may stand for a missing date; where it does, leave it empty in the table"


def _is_likely(year: int) -> bool:
    return LIKELY_YEARS[0] <= year < LIKELY_YEARS[1]


def of_totals(each: Feature, counted_missing: Iterable[str]) -> str | None:
    """A sentence where a value, or text that counts as missing, says that its row adds others up."""
    column = each.column
    words = totals_of(column) if is_text(column.type) else counted_missing
    total = next(filter(is_total, words), None)
    if total is None:
        return None
    return f"the column {each.name!r} is {total!r} in some rows, which a table for people has below the rows that they add up; where they do, leave them out of the table, as they are no rows to learn from"


def of_spelling(name: str, values: Any) -> str | None:
    """A sentence about categories that are the same but for case or white space. `values` are those that train."""
    labels = values.categories if isinstance(values, pd.Categorical) else ()
    alike = _mixed_truths(labels) or spelt_alike(labels[:MOST_SPELT])
    if alike is None:
        return None
    return f"the column {name!r} has {alike[0]} and {alike[1]}, which are two categories; write them alike where they mean the same"


def _mixed_truths(labels: Any) -> tuple[str, str] | None:
    """Two of them in quotes, where all are yes or no, in more than one way to say so."""
    if not 2 < len(labels) <= MOST_TRUTHS or not all(isinstance(each, str) for each in labels):
        return None
    said = [TRUTHS.get(label.strip().casefold()) for label in labels]
    if None in said or len(set(said)) < 2:
        return None
    twice = next(at for at, means in enumerate(said) if means in said[:at])
    return repr(labels[said.index(said[twice])]), repr(labels[twice])


def spelt_alike(labels: Iterable[Any]) -> tuple[str, str] | None:
    """The first two, in quotes, that are the same text but for case, white space around it and how accents are encoded, or the same number."""
    seen: dict[Any, str] = {}
    for label in labels:
        if isinstance(label, str):
            plain = normalize("NFC", label.strip()).casefold()
            other = seen.setdefault(same(plain), label)
            if other != label:
                return told_apart(other, label), told_apart(label, other)
    return None


class Giveaways:
    """Features that predict the test rows perfectly by themselves are told by this. Made once for a table."""

    def __init__(self, y: npt.NDArray[Any], parts: Mapping[str, Rows]) -> None:
        """`y` are the targets of all rows, as class indices or numbers."""
        self._train = _few(len(parts["train"]), TRAIN_ROWS)
        self._test = _few(len(parts["test"]), TEST_ROWS)
        self._given, self._wanted = y[parts["train"][self._train]], y[parts["test"][self._test]]
        self._by_number = _by_line if y.dtype.kind == "f" else _by_nearest

    def said(self, name: str, values: Mapping[str, Any]) -> str | None:
        """A sentence where the column does. `values` are those of each part."""
        if len(self._test) < FEWEST_TESTS:
            return None
        found = _by_equals if isinstance(values["train"], pd.Categorical) else self._by_number
        x, asked = _numbers(values["train"], self._train), _numbers(values["test"], self._test)
        if not _is_perfect(found(x, self._given, asked), self._wanted):
            return None
        return f"the column {name!r} alone predicts the target in all of {len(self._test)} test rows, so it may give the target away; drop it, unless it is known before the target is"


def _distinct(column: Any) -> int:
    """How many values there are, a missing one among them. Of whole numbers by sorting: a hash of each takes ten times as much."""
    if not pt.is_integer(column.type):
        return int(pc.count_distinct(column, mode="all").as_py())
    values = np.sort(column.drop_null().to_numpy())
    there = min(1, len(values)) + np.count_nonzero(values[1:] != values[:-1])
    return int(there + bool(column.null_count))


def _few(rows: int, most: int) -> npt.NDArray[np.int64]:
    """Positions from all over so many rows."""
    return np.unique(np.linspace(0, max(rows - 1, 0), min(rows, most)).astype(np.int64))


def _numbers(values: Any, rows: npt.NDArray[np.int64]) -> Floats:
    codes = values.codes if isinstance(values, pd.Categorical) else values
    if codes.dtype.kind == "M":
        some = codes[rows]
        return np.where(np.isnat(some), np.nan, some.astype(np.int64))
    return np.asarray(codes[rows], dtype=np.float64)


def _by_equals(x: Floats, y: npt.NDArray[Any], asked: Floats) -> npt.NDArray[Any]:
    """The target of a training row with the same value; nothing where one has none."""
    x, y = _sorted(x, y)
    at = np.searchsorted(x, asked).clip(0, len(x) - 1)
    found: npt.NDArray[Any] = y[at] if (x[at] == asked).all() else y[:0]
    return found


def _by_nearest(x: Floats, y: npt.NDArray[Any], asked: Floats) -> npt.NDArray[Any]:
    """The target of the training row whose value is nearest."""
    x, y = _sorted(x, y)
    at = np.searchsorted(x, asked).clip(0, len(x) - 1)
    before = (at - 1).clip(0)
    found: npt.NDArray[Any] = y[np.where(asked - x[before] < x[at] - asked, before, at)]
    return found


def _by_line(x: Floats, y: npt.NDArray[Any], asked: Floats) -> npt.NDArray[Any]:
    """On the straight line through the training rows with the lowest and the highest value."""
    x, y = _sorted(x, y)
    last = len(x) - int(np.isnan(x).sum()) - 1
    if last < 1 or x[last] == x[0]:
        return y[:0]
    found: npt.NDArray[Any] = y[0] + (asked - x[0]) * ((y[last] - y[0]) / (x[last] - x[0]))
    return found


def _sorted(x: Floats, y: npt.NDArray[Any]) -> tuple[Floats, npt.NDArray[Any]]:
    """Both by `x`, NaN last."""
    order = np.argsort(x, kind="stable")
    return x[order], y[order]


def _is_perfect(found: npt.NDArray[Any], y: npt.NDArray[Any]) -> bool:
    """Classes all right, or numbers nearly so; a target that is the same everywhere is no test."""
    if len(found) < len(y) or (y == y[0]).all():
        return False
    if y.dtype.kind != "f":
        return bool((found == y).all())
    return bool(((found - y) ** 2).sum() <= (1 - NEARLY_ALL) * ((y - y.mean()) ** 2).sum())
