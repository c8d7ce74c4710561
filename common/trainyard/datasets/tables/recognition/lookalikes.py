"""Numbers that are dates in truth, such as 20240131: they are trained on as numbers, and somebody should know."""

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

FIRST_VALUES = 20
"""Of them each must be a date for more to be looked at."""
FEWEST = 5
"""Values that differ: fewer may be dates by chance."""
YEARS = range(1900, 2101)
MOMENTS = (788_918_400, 2_208_988_800)
"""Seconds since 1970, from 1995 to 2039: other numbers are seldom all between them."""

FIRST_SERIAL = date(1899, 12, 30)
"""From which spreadsheets count days."""
SERIALS = (20_000, 60_000)
"""Such days of 1954 to 2064."""
NAME_OF_DATES = re.compile(
    r"(?<!man)(?<!candi)(?<!up)dat(?:e|um|a|o)(?![a-z])|(?<![a-z])(?:day|dt|dob|fecha|jour|giorno|tag|time)(?![a-z])|дата|日期|日付|날짜"
)
DAY_OF_YEAR = re.compile(r"(\d{4})-(\d{3})", re.ASCII)


def of_numbers(name: str, column: pa.ChunkedArray, sample: npt.NDArray[np.int64]) -> str | None:
    """A sentence about a column of numbers of which all at the rows `sample` are days or months; None about others."""
    if not (pt.is_integer(column.type) or pt.is_floating(column.type)):
        return None
    looks = _look(name, column.slice(0, FIRST_VALUES).to_pylist())
    if looks is None:
        return None
    values = _there(column.take(pa.array(sample)).to_pylist())
    if len(set(values)) < FEWEST or not all(map(looks, values)):
        return None
    shown = f"{values[0]:.0f}" if values[0] == values[0] // 1 else values[0]
    if looks in {_is_moment, *EPOCHS}:
        return f"the column {name!r} holds numbers that look like times, such as {shown}, and is read as numbers, from which neither hour nor weekday nor month can be told; write them in the table as in 2024-01-31T17:30:00"
    if looks in {_is_serial, _is_day_of_year}:
        counted, day = (
            ("days as spreadsheets count them", FIRST_SERIAL + timedelta(days=int(values[0])))
            if looks is _is_serial
            else ("a year and its day", _day_of_year(*divmod(int(values[0]), 1_000)))
        )
        return f"the column {name!r} holds numbers that look like {counted}, such as {shown}, which is {day}, and is read as numbers, from which neither weekday nor month can be told; where they are, write them in the table as in {day}"
    stated = json.dumps({name: {"type": "date"}}, ensure_ascii=False)
    cure = (
        "write them in the table as in 2024-01"
        if looks is _is_month_and_year
        else f"set data.columns to {stated} to have them read as dates"
    )
    return f"the column {name!r} holds numbers that look like dates, such as {shown}, and is read as numbers, among which days or months that follow each other are far apart; {cure}"


def of_text(name: str, words: Iterable[str]) -> str | None:
    """A sentence about text of which all is as 2019-060, the sixtieth day of a year; None about other text."""
    found: dict[str, date | None] = {}
    for word in words:
        match = DAY_OF_YEAR.fullmatch(word)
        found[word] = _day_of_year(int(match[1]), int(match[2])) if match else None
        if found[word] is None:
            return None
    if len(found) < FEWEST:
        return None
    word, day = next(iter(found.items()))
    return f"the column {name!r} holds text that looks like a year and its day, such as {word!r}, which is {day}, and is read as categories; where it is, write it in the table as in {day}"


def _look(name: str, values: Sequence[Any]) -> Callable[[Any], bool] | None:
    """What kind of date the first values are; some kinds only where the column is called as a date."""
    there = _there(values)
    if not there:
        return None
    named = NAME_OF_DATES.search(re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower())
    more = (_is_serial, _is_day_of_year) if named else ()
    kinds = (_is_day, _is_year_and_month, _is_month_and_year, _is_moment, *EPOCHS, *more)
    return next((kind for kind in kinds if all(map(kind, there))), None)


def _there(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if value is not None and not math.isnan(value)]


def _is_day(value: float) -> bool:
    """20240131."""
    if value != value // 1 or not YEARS[0] <= value // 10_000 <= YEARS[-1]:
        return False
    year, day = divmod(int(value), 10_000)
    try:
        date(year, *divmod(day, 100))
    except ValueError:
        return False
    return True


def _is_year_and_month(value: float) -> bool:
    """202401."""
    return value == value // 1 and value // 100 in YEARS and 1 <= value % 100 <= 12


def _is_month_and_year(value: float) -> bool:
    """1.2024, which was 01.2024."""
    if not 1 <= value < 13:
        return False
    year = (value % 1) * 10_000
    return math.isclose(year, round(year), abs_tol=1e-6) and round(year) in YEARS


def _is_moment(value: float) -> bool:
    """202401311730 or 20240131173000."""
    if (
        value != value // 1
        or len(text := f"{value:.0f}") not in {12, 14}
        or not _is_day(int(text[:8]))
    ):
        return False
    return int(text[8:10]) < 24 and all(
        int(text[at : at + 2]) < 60 for at in range(10, len(text), 2)
    )


def _is_serial(value: float) -> bool:
    """45322, or 45322.5."""
    return SERIALS[0] <= value < SERIALS[1]


def _is_day_of_year(value: float) -> bool:
    """2024031."""
    return value == value // 1 and _day_of_year(*divmod(int(value), 1_000)) is not None


def _day_of_year(year: int, day: int) -> date | None:
    """The date, where there is such a day in a likely year."""
    if year not in YEARS or not 1 <= day <= 366:
        return None
    found = date(year, 1, 1) + timedelta(days=day - 1)
    return found if found.year == year else None


def _since_1970(units: int) -> Callable[[float], bool]:
    """Whether a number is of so many a second since 1970, in the years that `MOMENTS` has."""
    return lambda value: MOMENTS[0] * units <= value < MOMENTS[1] * units


EPOCHS = tuple(_since_1970(units) for units in (1, 10**3, 10**6))
