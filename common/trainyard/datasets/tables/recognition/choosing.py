"""Which notation the values of a text column are written in, if they are numbers at all."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from trainyard.datasets.tables.recognition.marks import is_mark
from trainyard.datasets.tables.recognition.notation import (
    CURRENCIES,
    DECIMAL_COMMA,
    NOTATIONS,
    PER_CENT,
    PLAIN,
    THOUSANDS_COMMA,
    Notation,
)

ENOUGH = 0.95
"""Of the values that are no known mark, the share that must be numbers in one notation."""
DOUBTFUL = 0.5
"""Above this share, a column that is not read as numbers is worth a word."""
FEWEST_NUMBERS = 10
"""Distinct ones, for text that is no known mark to count as missing: among fewer it may be a class of its own."""
MOST_DIGITS = 15
"""Of a whole number that a float64 holds exactly."""
DIGIT = re.compile(r"\d")
CODE = re.compile(r"0\d+")
LONG = re.compile(rf"\d{{{MOST_DIGITS + 1},}}")


@dataclass(frozen=True)
class Choice:
    """The notation, or in words why numbers were seen and none was chosen."""

    notation: Notation | None
    doubt: str = ""


def choose(counts: Mapping[str, int], decimal: str = ".") -> Choice | None:
    """The choice for a column whose values, without white space around them, occur so often; None for other text.

    Where the file's `decimal` mark is a comma, of two notations with the same numbers that with the comma is preferred.
    """
    words = {word: rows for word, rows in counts.items() if not is_mark(word)}
    present = sum(words.values())
    with_digits = sum(rows for word, rows in words.items() if DIGIT.search(word))
    if len(words) < 2 or with_digits < DOUBTFUL * present:
        return None
    fits = {each: sum(words[word] for word in words if each.matches(word)) for each in NOTATIONS}
    most = max(fits.values())
    if most <= DOUBTFUL * present:
        return None
    fitting = [each for each in NOTATIONS if fits[each] == most]
    if decimal == ",":
        fitting.sort(key=lambda each: each.decimal != ",")
    numbers = {word for word in words if fitting[0].matches(word)}
    others = words.keys() - numbers
    if most < ENOUGH * present or (others and len(numbers) < FEWEST_NUMBERS):
        other = max(others, key=words.__getitem__)
        return Choice(None, f"most are numbers, and others are not, such as {other!r}")
    doubt = _codes(numbers) or _mixed(numbers)
    if doubt:
        return Choice(None, doubt)
    return Choice(fitting[0]) if decimal == "," else _unless_ambiguous(fitting, numbers)


def _unless_ambiguous(fitting: Collection[Notation], numbers: Collection[str]) -> Choice:
    """A comma before three digits, and nothing else that tells. Amounts of money have no three decimals."""
    preferred = next(iter(fitting))
    if preferred is PLAIN or not {DECIMAL_COMMA, THOUSANDS_COMMA} <= set(fitting):
        return Choice(preferred)
    if any(re.search(CURRENCIES, word) for word in numbers):
        return Choice(THOUSANDS_COMMA)
    example = max(numbers, key=lambda word: "," in word)
    return Choice(
        None, f"{example!r} may have a decimal comma or thousands, and no value tells which"
    )


def _codes(numbers: Collection[str]) -> str:
    """Why they are codes rather than numbers; empty where they are not."""
    for word in sorted(numbers):
        if CODE.fullmatch(word):
            return f"{word!r} begins with a zero, as codes do"
        if LONG.fullmatch(word):
            return f"{word!r} has more digits than a number here can hold"
    return ""


def _mixed(numbers: Collection[str]) -> str:
    """Why they are not of one kind; empty where they are."""
    currencies = {found[0] for word in numbers if (found := re.search(CURRENCIES, word))}
    if len(currencies) > 1:
        return f"they are in several currencies ({', '.join(sorted(currencies))})"
    if 0 < sum(PER_CENT in word for word in numbers) < len(numbers):
        return "some have a per cent sign and others have none"
    return ""
