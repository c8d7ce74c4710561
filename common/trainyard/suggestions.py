"""What a misspelt name was probably meant to be: the one "did you mean" of services, CLI and client."""

import difflib
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
        near = difflib.get_close_matches(name, names[:MOST_COMPARED], n=1)
        if near:
            return f"did you mean {near[0]!r}?"
    if not names:
        return ""
    listed = ", ".join(names[:MOST_LISTED])
    more = len(names) - MOST_LISTED
    return f"{otherwise} {listed} and {more} more" if more > 0 else f"{otherwise} {listed}"
