"""Columns of dates and timestamps, in Arrow, to what the clock on the wall shows."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.errors import InvalidData

YEARS = (1, 9999)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
LATEST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def microseconds(column: pa.ChunkedArray, name: str, pointer: str) -> pa.ChunkedArray:
    """Dates or timestamps as timestamps of microseconds, which are cut; their zone stays. Raises `InvalidData`."""
    kind = column.type
    zone = kind.tz if pt.is_timestamp(kind) else None
    finer = pt.is_timestamp(kind) and kind.unit == "ns"
    try:
        made = pc.cast(column, pa.timestamp("us", zone), safe=not finer)
        bounds = pc.min_max(made.cast(pa.int64())).as_py()
    except pa.ArrowInvalid as error:
        raise _beyond(name, pointer) from error
    if bounds["min"] is not None and not EARLIEST <= bounds["min"] <= bounds["max"] <= LATEST:
        raise _beyond(name, pointer)
    return made


def on_the_wall(column: pa.ChunkedArray, name: str, pointer: str) -> pa.ChunkedArray:
    """The same without a zone: the date and time that people there would write. Raises `InvalidData`."""
    made = microseconds(column, name, pointer)
    if made.type.tz is None:
        return made
    try:
        return pc.local_timestamp(made)
    except pa.ArrowInvalid as error:
        raise InvalidData(
            f"the column {name!r} has the zone {made.type.tz!r}, which this service does not know; write the times in UTC: {error}",
            pointer,
        ) from error


def _beyond(name: str, pointer: str) -> InvalidData:
    return InvalidData(
        f"the column {name!r} holds times outside the years {YEARS[0]} to {YEARS[1]}; leave those rows out, or drop the column",
        pointer,
    )
