"""Params as MLflow takes them: text of a bounded length, which is never cut in the middle of an entry."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.entities import Param

LONGEST_PARAM = 6_000
"""Characters, of MLflow 3.17: https://mlflow.org/docs/latest/api_reference/rest-api.html#log-param."""
ROOM = 40
"""Characters for the brackets, and to say how many entries are left out."""


def as_params(params: Mapping[str, Any]) -> list[Param]:
    """Those that are not None."""
    return [Param(name, bounded_param(each)) for name, each in params.items() if each is not None]


def bounded_param(value: object) -> str:
    """The value as text. Of a longer list or dict, such as constraints of 5,000 columns, the first entries and how many there are more."""
    text = str(value)
    if len(text) <= LONGEST_PARAM:
        return text
    if isinstance(value, Mapping):
        entries = [f"{key!r}: {each!r}" for key, each in value.items()]
        return _first(entries, "{}")
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return _first([repr(each) for each in value], "[]")
    return text[: LONGEST_PARAM - 1] + "…"


def _first(entries: Sequence[str], brackets: str) -> str:
    kept: list[str] = []
    room = LONGEST_PARAM - ROOM
    for entry in entries:
        room -= len(entry) + 2
        if room < 0:
            break
        kept.append(entry)
    more = f"… and {len(entries) - len(kept):,} more"
    return brackets[0] + ", ".join([*kept, more]) + brackets[1]
