"""Numbers that are dates in truth, such as 20240131: they are trained on as numbers, and somebody should know."""

import json
import math
from collections.abc import Callable, Sequence
from datetime import date
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


def of_numbers(name: str, column: pa.ChunkedArray, sample: npt.NDArray[np.int64]) -> str | None:
    """A sentence about a column of numbers of which all at the rows `sample` are days or months; None about others."""
    if not (pt.is_integer(column.type) or pt.is_floating(column.type)):
        return None
    looks = _look(column.slice(0, FIRST_VALUES).to_pylist())
    if looks is None:
        return None
    values = _there(column.take(pa.array(sample)).to_pylist())
    if len(set(values)) < FEWEST or not all(map(looks, values)):
        return None
    stated = json.dumps({name: {"type": "date"}}, ensure_ascii=False)
    cure = (
        "write them in the table as in 2024-01"
        if looks is _is_month_and_year
        else f"set data.columns to {stated} to have them read as dates"
    )
    return f"the column {name!r} holds numbers that look like dates, such as {values[0]}, and is read as numbers, among which days or months that follow each other are far apart; {cure}"


def _look(values: Sequence[Any]) -> Callable[[Any], bool] | None:
    """What kind of date the first values are."""
    there = _there(values)
    if not there:
        return None
    kinds = (_is_day, _is_year_and_month, _is_month_and_year)
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
