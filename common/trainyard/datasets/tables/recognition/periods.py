"""Months, quarters, weeks and the like that are written as text, such as 2024-01, Q3 2023 or 2024-W07."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainyard.raw_columns import PERIODS, period_start

FEW = 20
"""Words, of which one must be a period for all to be looked at."""
LAST_DAY = 31
YEAR_AND_NEXT = re.compile(r"(\d{4})[-/](\d\d)", re.ASCII)
MONTH_AND_TWO = re.compile(r"[a-z]{3,9}[.,]?[-/ _]{0,2}(\d\d)", re.ASCII | re.IGNORECASE)
TWO_AND_MONTH = re.compile(r"\d\d?[-/ ]([a-z]{3,9})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Periods:
    """The `kind` of a column's periods, one of `raw_columns.PERIODS`, and the same in words; no kind where it cannot be told."""

    kind: str | None
    words: str


def periods_of(words: Mapping[str, int], enough: float) -> Periods | None:
    """The kind of which `enough` rows are, of words that occur so often; None where they are no periods."""
    if not any(map(_kinds, list(words)[:FEW])):
        return _days_or_years(words, enough)
    found = {word: _kinds(word) for word in words}
    fits = {kind: sum(words[word] for word in words if kind in found[word]) for kind in PERIODS}
    fitting = [kind for kind, rows in fits.items() if rows >= enough]
    if len(fitting) > 1 and _are_year_and_next(words):
        return Periods(
            None, "a year and its month or a year and the next, and no value tells which"
        )
    if fitting:
        unclear = fitting[0] == "month" and _may_be_days(words)
        return _NO_ONE_KNOWS if unclear else Periods(fitting[0], f"the {fitting[0]} of each")
    if sum(words[word] for word in words if found[word]) < enough:
        return None
    return Periods(None, f"periods of several kinds ({', '.join(k for k in fits if fits[k])})")


_NO_ONE_KNOWS = Periods(None, "a month and its day or its year, and no value tells which")


def _days_or_years(words: Mapping[str, int], enough: float) -> Periods | None:
    """24-Jan, which a spreadsheet shows for a day, and people write for a month."""
    found = {word for word in words if _month_behind(word)}
    return _NO_ONE_KNOWS if sum(words[word] for word in found) >= enough else None


def _kinds(word: str) -> set[str]:
    return {kind for kind in PERIODS if not np.isnat(period_start(word, kind))}


def _month_behind(word: str) -> bool:
    match = TWO_AND_MONTH.fullmatch(word)
    return match is not None and not np.isnat(period_start(f"{match[1]} 2024", "month"))


def _may_be_days(words: Mapping[str, int]) -> bool:
    """Whether all are as Jan-24, with numbers that may be of days."""
    found = [MONTH_AND_TWO.fullmatch(word) for word in words]
    return all(match is not None and 0 < int(match[1]) <= LAST_DAY for match in found)


def _are_year_and_next(words: Mapping[str, int]) -> bool:
    """Whether all are as 2010-11, which is November or a season."""
    found = [YEAR_AND_NEXT.fullmatch(word) for word in words]
    return all(match is not None and (int(match[1]) + 1) % 100 == int(match[2]) for match in found)
