"""What people write among numbers where there is no number."""

from trainyard.datasets.tables.dialects.dialect import MISSING

MARKS = frozenset(
    mark.casefold()
    for mark in (
        *MISSING,
        *("?", "??", "-", "--", "---", "\N{EN DASH}", "\N{EM DASH}", ".", "..", "*", "/", "\\N"),
        *("missing", "unknown", "not available", "n.a.", "nil", "none", "tbd"),
        *("0000-00-00", "0000-00-00 00:00:00", "00/00/0000", "00.00.0000"),
        *("#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?"),
    )
)
"""Without regard to case."""


def is_mark(text: str) -> bool:
    """Whether the text stands for a missing value; white space around it does not count."""
    return text.strip().casefold() in MARKS
