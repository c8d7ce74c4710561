"""A column of dates, timestamps or numbers to numbers in the order of its times."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.datasets.tables.columns import is_numeric, is_text, numbers
from trainyard.datasets.tables.dates import EPOCH, microseconds
from trainyard.datasets.tables.recognition.dates import STATE, order_of
from trainyard.datasets.tables.recognition.reading import sample
from trainyard.datasets.tables.recognition.reading_dates import dates_in_text
from trainyard.errors import InvalidData

Kind = Literal["date", "local", "utc", "number"]
# As pyarrow reads text: a zone in each value or in none, and down to microseconds or beyond.
TEXTS = tuple(pa.timestamp(unit, zone) for unit in ("us", "ns") for zone in (None, "UTC"))


@dataclass(frozen=True)
class Times:
    """`values` of (n,): microseconds since 1970 (in UTC where the column has a zone), or the numbers themselves."""

    values: npt.NDArray[Any]
    kind: Kind

    @property
    def said(self) -> Callable[[Any], str | int | float]:
        """One of the values as JSON: a date, a time (with +00:00 where the column has a zone), or a number."""
        return {"date": _date, "local": _local, "utc": _utc, "number": _number}[self.kind]


def times(column: pa.ChunkedArray, name: str, pointer: str, *, is_complete: bool = True) -> Times:
    """The times of a column without missing values; finer ones are cut to microseconds. Raises `InvalidData`.

    Where the column is not complete, its other rows may tell whether the day or the month comes first.
    """
    if is_text(column.type):
        column = _parsed(column, name, pointer, is_complete=is_complete)
    kind = column.type
    if is_numeric(kind):
        return Times(_finite(numbers(column), name, pointer), "number")
    if not (pt.is_date(kind) or pt.is_timestamp(kind)):
        raise InvalidData(
            f"the column {name!r} is of type {kind}; dates, timestamps or numbers are needed to divide by time",
            pointer,
        )
    values = np.asarray(microseconds(column, name, pointer).cast(pa.int64()).to_numpy())
    if pt.is_date(kind):
        return Times(values, "date")
    return Times(values, "local" if kind.tz is None else "utc")


def together(own: Times, tested: Times, name: str) -> Times:
    """The times of a table and of its separate test table, which follow. Raises `InvalidData` where they have no common order."""
    kinds = {own.kind, tested.kind}
    if len(kinds) > 1 and kinds != {"date", "local"}:
        words = {"utc": "times with a zone", "number": "numbers"}
        raise InvalidData(
            f"the column {name!r} holds {words.get(tested.kind, 'times without a zone')} in the test table, and {words.get(own.kind, 'times without a zone')} in the training table; write both alike",
            "/data/test_uri",
        )
    kind: Kind = own.kind if len(kinds) == 1 else "local"
    return Times(np.concatenate([own.values, tested.values]), kind)


def _parsed(
    column: pa.ChunkedArray, name: str, pointer: str, *, is_complete: bool
) -> pa.ChunkedArray:
    """Text as timestamps: as ISO-8601 has it, or as features are recognised."""
    for kind in TEXTS:
        with suppress(pa.ArrowInvalid):
            return column.cast(kind)
    counts = sample(column)
    written = order_of(counts)
    if written is not None and written.order is None and (is_complete or written.cure != STATE):
        raise InvalidData(
            f"the column {name!r} holds dates with {written.words}; write them as 2024-12-31 to divide by time",
            pointer,
        )
    order = "year_first" if written is None else written.order or "day_first"
    made = dates_in_text(column, counts, [order])
    others = made.marks | made.others
    if others and (is_complete or written is None or written.order is not None):
        raise InvalidData(
            f"the column {name!r} is {next(iter(others))!r}, which is no time as the others are, and rows are divided by it; write each as 2024-12-31, 2024-12-31T08:00:00 or 2024-12-31T08:00:00Z (with a zone in each value or in none)",
            pointer,
        )
    return made.column if made.zone is None else pc.assume_timezone(made.column, made.zone)


def _finite(values: npt.NDArray[Any], name: str, pointer: str) -> npt.NDArray[Any]:
    infinite = int(np.isinf(values).sum()) if values.dtype.kind == "f" else 0
    if infinite:
        raise InvalidData(
            f"the column {name!r} is infinite in {infinite} rows, and rows are divided by it; leave those rows out",
            pointer,
        )
    return values


def _moment(value: Any) -> datetime:
    return EPOCH + timedelta(microseconds=int(value))


def _date(value: Any) -> str:
    return _moment(value).date().isoformat()


def _local(value: Any) -> str:
    return _moment(value).replace(tzinfo=None).isoformat()


def _utc(value: Any) -> str:
    return _moment(value).isoformat()


def _number(value: Any) -> int | float:
    plain: int | float = value.item()
    return plain
