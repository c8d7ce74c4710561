"""Dates that are written as text, and whether the day or the month comes first."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from trainyard.datasets.tables.recognition.marks import is_mark

ENOUGH = 0.95
YEAR_FIRST = re.compile(r"\d{4}([-/.])(\d{1,2})\1(\d{1,2})([T ].*)?")
YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})([T ].*)?")
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
MONTH_NAMED = re.compile(
    rf"(?:[a-z]{{3}}, )?\d{{1,2}}(?:\. |[ -/]){MONTH}[ -/]\d{{2,4}}( .*)?|{MONTH} \d{{1,2}}, \d{{4}}( .*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Written:
    """How the dates of a column are written: the `order`, one of `raw_columns.ORDERS`, and the same in words.

    No order where nothing tells which it is, or where values contradict each other.
    """

    order: str | None
    words: str


def order_of(counts: Mapping[str, int]) -> Written | None:
    """How the dates among these values, which occur so often, are written; None where they are no dates."""
    words = {word: rows for word, rows in counts.items() if not is_mark(word)}
    enough = ENOUGH * sum(words.values())
    if not words:
        return None
    if _rows(words, YEAR_FIRST) >= enough:
        return Written("year_first", "the year first")
    if _rows(words, MONTH_NAMED) >= enough:
        return Written("month_named", "the month by its name")
    found = {word: match for word in words if (match := YEAR_LAST.fullmatch(word))}
    pairs = [(int(match[1]), int(match[3])) for match in found.values()]
    if sum(words[word] for word in found) < enough or any(max(pair) > 31 for pair in pairs):
        return None
    return _day_or_month(pairs)


def _rows(words: Mapping[str, int], pattern: re.Pattern[str]) -> int:
    return sum(rows for word, rows in words.items() if pattern.fullmatch(word))


def _day_or_month(pairs: list[tuple[int, int]]) -> Written:
    """By the numbers above 12, which are no months."""
    day_first = any(first > 12 for first, _ in pairs)
    month_first = any(second > 12 for _, second in pairs)
    if day_first and month_first:
        return Written(None, "the day first in some and the month first in others")
    if day_first or month_first:
        if day_first:
            return Written("day_first", "the day first")
        return Written("month_first", "the month first")
    return Written(None, "the day or the month first, and no value tells which")
