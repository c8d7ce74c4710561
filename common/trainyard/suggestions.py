"""What a misspelt name was probably meant to be: the one "did you mean" of services, CLI and client."""

import difflib
import unicodedata
from collections.abc import Iterable

LONGEST_NAME = 100
"""Characters; comparing costs their square, and nobody misspells more."""
MOST_COMPARED = 1_000
MOST_LISTED = 20


def suggestion(name: str, known: Iterable[str], *, otherwise: str = "known are") -> str:
    """`did you mean 'max_depth'?`, or `known are a, b and 12 more` where nothing is near; empty where nothing is known.

    Bounded: a long name is not compared, and of many names the first are.
    """
    names = list(known)
    if len(name) <= LONGEST_NAME:
        wanted = bare(name)
        alike = next((each for each in names[:MOST_COMPARED] if bare(each) == wanted), None)
        if alike is not None:
            return f"did you mean {told_apart(alike, name)}?"
        near = difflib.get_close_matches(name, names[:MOST_COMPARED], n=1)
        if near:
            return f"did you mean {near[0]!r}?"
    if not names:
        return ""
    listed = ", ".join(names[:MOST_LISTED])
    more = len(names) - MOST_LISTED
    return f"{otherwise} {listed} and {more} more" if more > 0 else f"{otherwise} {listed}"


def bare(name: str) -> str:
    """Without what is hard to see: case, white space around it, and how Unicode composes accents."""
    return _composed(name.strip()[: 2 * LONGEST_NAME]).casefold()


def told_apart(known: str, name: str) -> str:
    """In quotes; by its code points where it looks like the other."""
    return ascii(known) if _composed(known) == _composed(name) else repr(known)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
