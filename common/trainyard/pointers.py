"""Pydantic's complaints as JSON pointers and sentences a person can act on."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from trainyard.contract import FieldError

UNION_TAGS = frozenset({"builtin", "file", "images"})


def field_errors(error: ValidationError, *, prefix: str = "", known: Iterable[str] = ()) -> list[FieldError]:
    """Every bad field of `error`: its pointer below `prefix`, the value, and what would be right.

    `known` are the right names at the top level, for the nearest to an unknown one.
    """
    return [
        FieldError(pointer=prefix + _pointer(each["loc"]), detail=_sentence(each, list(known)))
        for each in error.errors(include_url=False)
    ]


def _pointer(location: tuple[int | str, ...]) -> str:
    parts = [
        part for position, part in enumerate(location)
        if not (position == 1 and location[0] == "data" and part in UNION_TAGS)
    ]
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _sentence(each: Any, known: list[str]) -> str:
    if each["type"] == "extra_forbidden":
        name = str(each["loc"][-1])
        near = difflib.get_close_matches(name, known, n=1) if len(each["loc"]) == 1 else []
        return f"unknown; did you mean {near[0]!r}?" if near else "unknown; remove it"
    if each["type"] == "missing":
        return "is required"
    shown = repr(each["input"])
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    message = str(each["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{shown}: {message}".encode("utf-8", "replace").decode()
