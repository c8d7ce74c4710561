"""Pointers, quoted values and sentences for a caller to read: plain, short, and writable as JSON."""

import reprlib
from collections.abc import Sequence
from typing import Any

LONGEST_POINTER = 1_000
"""Characters; a column's name has 500 at most, so this cuts no pointer that is of use."""
LONGEST_VALUE = 80
_short = reprlib.Repr()
_short.maxstring = _short.maxother = LONGEST_VALUE


def pointer(parts: Sequence[int | str]) -> str:
    """A JSON pointer (RFC 6901), cut where it is too long to be read."""
    text = "".join(
        "/" + readable(str(part)[:LONGEST_POINTER]).replace("~", "~0").replace("/", "~1")
        for part in parts
    )
    return text if len(text) <= LONGEST_POINTER else text[:LONGEST_POINTER] + "..."


def sentence(each: Any) -> str:
    """What is wrong with the value of one of pydantic's errors, and what would be right."""
    if each["type"] == "missing":
        return "is required"
    return f"{shown(each['input'])}: {message(each)}"


def none_of_the_types(tried: Sequence[Any]) -> str:
    """What a value should have been that may have one of several types and has none, by the error of each."""
    first, *others = dict.fromkeys(message(each) for each in tried)
    rest = "".join(f" or {each.removeprefix('input should be ')}" for each in others)
    return f"{shown(tried[0]['input'])}: {first}{rest}"


def message(each: Any) -> str:
    """Pydantic's own words, to go on with after a colon."""
    text = str(each["msg"]).removeprefix("Value error, ")
    return f"{text[:1].lower()}{text[1:]}"


def shown(value: object) -> str:
    """The value as a caller may read it, shortened; of a large one only the beginning is looked at."""
    text = readable(_short.repr(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def readable(text: str) -> str:
    """The text without lone surrogates, which no answer can hold."""
    return text.encode("utf-8", "backslashreplace").decode()
