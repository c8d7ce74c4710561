"""How rows were divided, in words for a decision that people read."""

from collections.abc import Mapping
from typing import Any

MIDNIGHT = "T00:00:00"
UTC = "+00:00"


def described(divided: Mapping[str, Any]) -> str:
    """Which rows tested, by the `split` of a data profile: `tested on the newest rows, 2024-04-01 to 2024-06-30`."""
    column = divided["column"]
    match divided["by"]:
        case "time":
            return f"tested on the newest rows, {_span(divided['test_from'], divided['test_until'], column)}"
        case "group":
            tested = divided["groups"]["test"]
            return f"tested on {tested:,} group(s) of {column!r} of which no row trained"
        case "column":
            tested = divided["rows"]["test"]
            return f"tested on {tested:,} row(s) that were set apart; the column {column!r} says which trained"
    message = f"{divided['by']!r} is not one of 'time', 'group', 'column'"
    raise ValueError(message)


def _span(first: str | float, last: str | float, column: str) -> str:
    """`2024-04-01 to 2024-06-30`; numbers are said with their column, as they may count anything."""
    if not isinstance(first, str) or not isinstance(last, str):
        return f"{column!r} from {first} to {last}"
    if first == last:
        return f"all of {_plain(first, last)}"
    return f"{_plain(first, last)} to {_plain(last, first)}"


def _plain(time: str, other: str) -> str:
    """A time as people write it: without hours where both are days, and with UTC spelt out."""
    times = (time.removesuffix(UTC), other.removesuffix(UTC))
    if all("T" not in each or each.endswith(MIDNIGHT) for each in times):
        return times[0].removesuffix(MIDNIGHT)
    zone = " UTC" if time.endswith(UTC) else ""
    return times[0].replace("T", " ") + zone
