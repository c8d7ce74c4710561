"""What a search tries first: params that its request names, or the best of an earlier search."""

from collections.abc import Iterator, Mapping
from typing import Any

from trainyard.contract import BestOf, Dimension, FieldError, Search
from trainyard.field_errors import shown
from trainyard.suggestions import suggestion


def first_of(search: Search, space: Mapping[str, Dimension]) -> list[dict[str, Any]]:
    """What is tried first, in order. Of an earlier search's params, those that lie in today's space; others are drawn."""
    start = search.warm_start
    if not isinstance(start, BestOf):
        return start
    fitting = {
        name: value
        for name, value in start.found.items()
        if not any(_wrong_start("", {name: value}, space))
    }
    return [fitting] if fitting else []


def wrong_starts(search: Search, space: Mapping[str, Dimension]) -> list[FieldError]:
    """What is wrong with the params that a request names; an earlier search may have had another space."""
    if isinstance(search.warm_start, BestOf):
        return []
    return [
        error
        for index, params in enumerate(search.warm_start)
        for error in _wrong_start(f"/search/warm_start/{index}", params, space)
    ]


def same(one: Any, other: Any) -> bool:
    """True is not 1 here."""
    return type(one) is type(other) and bool(one == other)


def _wrong_start(
    at: str, params: Mapping[str, Any], space: Mapping[str, Dimension]
) -> Iterator[FieldError]:
    for name, value in params.items():
        if name not in space:
            yield _error(f"{at}/{name}", f"is not in the space; {suggestion(name, space)}")
            continue
        each = space[name]
        if each.choices is not None:
            if not any(same(value, choice) for choice in each.choices):
                yield _error(
                    f"{at}/{name}", f"{shown(value)} is none of its choices, {shown(each.choices)}"
                )
        elif not isinstance(value, int | float) or isinstance(value, bool):
            yield _error(f"{at}/{name}", f"{shown(value)} is no number")
        elif each.low is not None and each.high is not None and not each.low <= value <= each.high:
            yield _error(f"{at}/{name}", f"{value} is not from {each.low} to {each.high}")


def _error(pointer: str, detail: str) -> FieldError:
    return FieldError(pointer=pointer, detail=detail)
