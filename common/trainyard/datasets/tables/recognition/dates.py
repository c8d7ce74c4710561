"""Dates that are written as text, and whether the day or the month comes first."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from trainyard.datasets.tables.recognition.marks import is_mark
from trainyard.datasets.tables.recognition.periods import periods_of
from trainyard.raw_columns import plain_date

ENOUGH = 0.95
WRITE = "write them in the table as in 2024-12-31"
WRITE_PERIODS = "write them in the table as in 2024-01, 2024-Q1 or 2024-W07"
STATE = "set day_first to true or false"
YEAR_FIRST = re.compile(
    r"\d{4}(?:([-/.])\d{1,2}\1|\. \d{1,2}\. |年\d{1,2}月)\d{1,2}[.日]?([T ].*)?|\d{8}T\d{6}(Z|[+-]\d{2,4})?|\d{8}( .*)?"
)
YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})([T ].*)?")
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
MONTH_NAMED = re.compile(
    rf"(?:[a-z]{{3,9}}, )?(?:\d{{1,2}}(?:\. |[ -/]){MONTH}[ -/]\d{{2,4}}|{MONTH} \d{{1,2}},? \d{{4}})([ :].*)?",
    re.IGNORECASE,
)

OTHER_MONTH = re.compile(r"\d{1,2}\.?[ -](?:de )?([^\W\d_]{3,12})\.?[ -](?:de )?\d{4}( .*)?")
MOST_NAMES = 24
"""Of months, in full and short."""


@dataclass(frozen=True)
class Written:
    """How the dates of a column are written: the `order`, one of `raw_columns.ORDERS` or `PERIODS`, and the same in words.

    No order where nothing tells which it is, or where values contradict each other; then with a cure.
    """

    order: str | None
    words: str
    cure: str = ""


def order_of(counts: Mapping[str, int]) -> Written | None:
    """How the dates among these values, which occur so often, are written; None where they are no dates."""
    words: Counter[str] = Counter()
    for word, rows in counts.items():
        if not is_mark(word):
            words[plain_date(word)] += rows
    enough = max(1, ENOUGH * sum(words.values()))
    if (plain := _plain(words, enough)) is not None:
        return plain
    if (periods := periods_of(words, enough)) is not None:
        return Written(periods.kind, periods.words, "" if periods.kind else WRITE_PERIODS)
    found = {word: match for word in words if (match := YEAR_LAST.fullmatch(word))}
    pairs = [(int(match[1]), int(match[3])) for match in found.values()]
    dates = sum(_rows(words, each) for each in (YEAR_FIRST, YEAR_LAST, MONTH_NAMED))
    if dates < enough or any(max(pair) > 31 for pair in pairs):
        return None
    if _rows(words, YEAR_LAST) < enough:
        return Written(
            None, "the year first in some and last in others, or the month by its name", WRITE
        )
    return _day_or_month(pairs)


def _plain(words: Mapping[str, int], enough: float) -> Written | None:
    """Where the year comes first, or the month has a name; None elsewhere."""
    if _rows(words, YEAR_FIRST) >= enough:
        return Written("year_first", "the year first")
    if _rows(words, MONTH_NAMED) >= enough:
        return Written("month_named", "the month by its name")
    if _rows(words, OTHER_MONTH) >= enough and 1 < _month_names(words) <= MOST_NAMES:
        return Written(None, "the month by a name that is not English", WRITE)
    return None


def _rows(words: Mapping[str, int], pattern: re.Pattern[str]) -> int:
    return sum(rows for word, rows in words.items() if pattern.fullmatch(word))


def _month_names(words: Mapping[str, int]) -> int:
    return len({match[1].casefold() for word in words if (match := OTHER_MONTH.fullmatch(word))})


def _day_or_month(pairs: list[tuple[int, int]]) -> Written:
    """By the numbers above 12, which are no months."""
    day_first = any(first > 12 for first, _ in pairs)
    month_first = any(second > 12 for _, second in pairs)
    if day_first and month_first:
        return Written(None, "the day first in some and the month first in others", WRITE)
    if day_first or month_first:
        if day_first:
            return Written("day_first", "the day first")
        return Written("month_first", "the month first")
    return Written(None, "the day or the month first, and no value tells which", STATE)
