"""A column of dates, or of text that holds some, as timestamps without a zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.datasets.tables.columns import codes
from trainyard.datasets.tables.dates import on_the_wall
from trainyard.datasets.tables.recognition.marks import is_mark
from trainyard.raw_columns import ISO, WITH_ZONE, formats_of, parsed, plain_date

ENOUGH_TO_TELL = 200
"""Words, by which the likeliest format is found; all others are tried after it."""
CENTURY, YEARS_AHEAD = 2000, 5
MOST_MISSING = 1_000
"""Words, the most frequent, that a logged model is told of."""


@dataclass(frozen=True)
class ReadDates:
    """`column` of timestamp[us] without a zone, null where there is no date; how it was read; and text that is none."""

    column: pa.ChunkedArray
    zone: str | None
    formats: list[str]
    marks: dict[str, int] = field(default_factory=dict)
    """Text that is known to stand for a missing value, with its rows, the most frequent first."""
    others: dict[str, int] = field(default_factory=dict)
    """Text that is not."""
    digits: bool = False
    """Whether they were whole numbers, such as 20241231."""
    beyond: tuple[str, int] | None = None
    """Text with a year of two digits, and the year to come that it was read as, where other years are long past."""

    def as_json(self) -> dict[str, Any]:
        """What a logged model needs to read dates as training did."""
        missing = [*self.marks, *self.others][:MOST_MISSING]
        said = {"zone": self.zone, "formats": self.formats, "missing": missing}
        return said | {"digits": True} if self.digits else said


def dates_as_they_are(name: str, column: pa.ChunkedArray, pointer: str) -> ReadDates:
    """Arrow's own dates and timestamps. Raises `InvalidData` for years that no calendar here has."""
    zone = column.type.tz if pt.is_timestamp(column.type) else None
    return ReadDates(on_the_wall(column, name, pointer), zone, [ISO])


def digits_of(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Whole numbers, also where they are floats because some are missing, as text; None for other columns."""
    if not (pt.is_integer(column.type) or pt.is_floating(column.type)):
        return None
    try:
        return pc.if_else(pc.is_nan(column), None, column).cast(pa.int64()).cast(pa.string())
    except pa.ArrowInvalid:
        return None


def dates_in_text(
    column: pa.ChunkedArray, sample: Mapping[str, int], orders: list[str]
) -> ReadDates:
    """The dates in a text column, written in one of `orders`; `sample` holds some of its values and how often each occurs.

    With a zone in each value the times are in UTC; where only some have one, the others are no dates here.
    """
    with_zone = sum(rows for word, rows in sample.items() if WITH_ZONE.search(plain_date(word)))
    zone = "UTC" if with_zone > sum(sample.values()) / 2 else None
    formats = _likeliest_first(sample, orders, zone)
    found, words = codes(column)
    times = parsed(words, formats, zone=zone)
    counts = np.bincount(found[found >= 0], minlength=len(words))
    marks: dict[str, int] = {}
    others: dict[str, int] = {}
    for at in np.flatnonzero(np.isnat(times)):
        word = words[at].strip()
        (marks if is_mark(word) else others)[word] = int(counts[at])
    known = np.append(times, np.datetime64("NaT"))
    made = pa.chunked_array([pa.array(known[found], pa.timestamp("us"))])
    marked, left = _most_frequent(marks), _most_frequent(others)
    return ReadDates(made, zone, formats, marked, left, beyond=_beyond(words, times))


def _beyond(words: Sequence[str], times: npt.NDArray[Any]) -> tuple[str, int] | None:
    """Of words read as these times, one whose year of two digits lies further ahead than `YEARS_AHEAD`; None where none of them lies before 2000.

    Until 68 such years are of this century: among dates of birth, 55 is 1955 more likely.
    """
    years = times.astype("datetime64[Y]").astype(np.int64) + 1970
    there = ~np.isnat(times)
    if not (there & (years < CENTURY)).any():
        return None
    ahead = there & (years > datetime.now(UTC).year + YEARS_AHEAD)
    for at in np.flatnonzero(ahead).tolist():
        digits = "".join(str(int(each)) if each.isdecimal() else each for each in words[at])
        if str(years[at]) not in digits:
            return words[at].strip(), int(years[at])
    return None


def _likeliest_first(sample: Mapping[str, int], orders: list[str], zone: str | None) -> list[str]:
    """All formats of the orders, by how many values of the sample each reads that those before do not."""
    formats = list(dict.fromkeys(each for order in orders for each in formats_of(order)))
    words = list(sample)[:ENOUGH_TO_TELL]
    fits = {each: int((~np.isnat(parsed(words, [each], zone=zone))).sum()) for each in formats}
    return sorted(formats, key=lambda each: -fits[each])


def _most_frequent(words: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(words.items(), key=lambda each: -each[1]))
