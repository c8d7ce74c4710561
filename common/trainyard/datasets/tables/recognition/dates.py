"""Dates that are written as text, and whether the day or the month comes first."""

import re
from collections.abc import Mapping

ENOUGH = 0.95
YEAR_FIRST = re.compile(r"\d{4}([-/.])(\d{1,2})\1(\d{1,2})([T ].*)?")
YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})([T ,].*)?")


def order_of(counts: Mapping[str, int]) -> str | None:
    """How the dates among these values, which occur so often, are written, in words; None where they are no dates."""
    rows = sum(counts.values())
    if not rows:
        return None
    year_first = sum(counts[word] for word in counts if YEAR_FIRST.fullmatch(word))
    if year_first >= ENOUGH * rows:
        return "the year first"
    found = {word: match for word in counts if (match := YEAR_LAST.fullmatch(word))}
    pairs = [(int(match[1]), int(match[3])) for match in found.values()]
    if sum(counts[word] for word in found) < ENOUGH * rows or any(max(pair) > 31 for pair in pairs):
        return None
    return _day_or_month(pairs)


def _day_or_month(pairs: list[tuple[int, int]]) -> str | None:
    """By the numbers above 12, which are no months."""
    day_first = any(first > 12 for first, _ in pairs)
    month_first = any(second > 12 for _, second in pairs)
    if day_first and month_first:
        return "the day first in some and the month first in others"
    if day_first or month_first:
        return "the day first" if day_first else "the month first"
    return "the day or the month first, and no value tells which"
