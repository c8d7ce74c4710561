"""A column of dates, timestamps or numbers to numbers in the order of its times."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.datasets.tables.columns import is_numeric, is_text, numbers
from trainyard.errors import InvalidData

Kind = Literal["date", "local", "utc", "number"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
LATEST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
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


def times(column: pa.ChunkedArray, name: str, pointer: str) -> Times:
    """The times of a column without missing values; finer ones are cut to microseconds. Raises `InvalidData`."""
    if is_text(column.type):
        column = _parsed(column, name, pointer)
    kind = column.type
    if is_numeric(kind):
        return Times(_finite(numbers(column), name, pointer), "number")
    if not (pt.is_date(kind) or pt.is_timestamp(kind)):
        raise InvalidData(
            f"the column {name!r} is of type {kind}; dates, timestamps or numbers are needed to divide by time",
            pointer,
        )
    values = _microseconds(column, name, pointer)
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


def _parsed(column: pa.ChunkedArray, name: str, pointer: str) -> pa.ChunkedArray:
    """Text as timestamps."""
    said = ""
    for kind in TEXTS:
        try:
            return column.cast(kind)
        except pa.ArrowInvalid as error:
            said = said or str(error)
    raise InvalidData(
        f"the column {name!r} holds text that is not a time all through, such as 2024-12-31, 2024-12-31T08:00:00 or 2024-12-31T08:00:00Z (with a zone in each value or in none): {said}",
        pointer,
    )


def _microseconds(column: pa.ChunkedArray, name: str, pointer: str) -> npt.NDArray[Any]:
    kind = column.type
    zone = kind.tz if pt.is_timestamp(kind) else None
    finer = pt.is_timestamp(kind) and kind.unit == "ns"
    try:
        cast = pc.cast(column, pa.timestamp("us", zone), safe=not finer)
        values = np.asarray(cast.cast(pa.int64()).to_numpy())
    except pa.ArrowInvalid as error:
        raise _beyond(name, pointer) from error
    if len(values) and (values.min() < EARLIEST or values.max() > LATEST):
        raise _beyond(name, pointer)
    return values


def _finite(values: npt.NDArray[Any], name: str, pointer: str) -> npt.NDArray[Any]:
    infinite = int(np.isinf(values).sum()) if values.dtype.kind == "f" else 0
    if infinite:
        raise InvalidData(
            f"the column {name!r} is infinite in {infinite} rows, and rows are divided by it; leave those rows out",
            pointer,
        )
    return values


def _beyond(name: str, pointer: str) -> InvalidData:
    return InvalidData(
        f"the column {name!r} holds times outside the years 1 to 9999, and rows are divided by it; leave those rows out",
        pointer,
    )


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
