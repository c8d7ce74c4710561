"""Columns of dates and timestamps, in Arrow, to what the clock on the wall shows."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.errors import InvalidData

YEARS = (1, 9999)


def microseconds(column: pa.ChunkedArray, name: str, pointer: str) -> pa.ChunkedArray:
    """Dates or timestamps as timestamps of microseconds, which are cut; their zone stays. Raises `InvalidData`."""
    kind = column.type
    zone = kind.tz if pt.is_timestamp(kind) else None
    finer = pt.is_timestamp(kind) and kind.unit == "ns"
    try:
        made = pc.cast(column, pa.timestamp("us", zone), safe=not finer)
        years = pc.min_max(pc.year(made)).as_py()
    except pa.ArrowInvalid as error:
        raise _beyond(name, pointer) from error
    if years["min"] is not None and not YEARS[0] <= years["min"] <= years["max"] <= YEARS[1]:
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
