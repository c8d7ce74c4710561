"""Time zones that are written by their letters behind the times of a column."""

import re
from collections.abc import Iterable

from trainyard.raw_columns import WITH_ZONE, ZONES, plain_date

PLAIN = frozenset({"Z", "UTC", "GMT"})
"""Of which nobody needs to be told."""
NAME = re.compile(r":\d\d(?:\.\d+)?(?: [AP]M)? ?([A-Z]{2,5}|[A-Z][A-Za-z_]+(?:/[A-Za-z_]+){1,2})$")
CLOCK = frozenset({"AM", "PM"})


def named_zones(words: Iterable[str]) -> str:
    """How zones with names are read, for a sentence; empty where there are none."""
    found = (match[2].upper() for word in words if (match := WITH_ZONE.search(plain_date(word))))
    names = sorted({name for name in found if name in ZONES} - PLAIN)
    if not names:
        return ""
    return " in UTC, " + ", ".join(f"{name} as {ZONES[name]:+03d}:00" for name in names)


def unknown_zone(words: Iterable[str]) -> str:
    """Why these are no dates, where a zone behind them has a name that is none or may mean several; else empty."""
    for word in words:
        match = NAME.search(plain_date(word))
        if match and match[1] not in ZONES and match[1] not in CLOCK:
            return f"the time zone {match[1]!r} behind {word!r} may be one of several, or is not known; write it as in +01:00"
    return ""
