"""Which notation the values of a text column are written in, if they are numbers at all."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from trainyard.datasets.tables.recognition.marks import is_mark
from trainyard.datasets.tables.recognition.notation import (
    APOSTROPHES,
    CURRENCIES,
    DECIMAL_COMMA,
    NOTATIONS,
    PER_CENT,
    PER_MILLE,
    PLAIN,
    THOUSANDS_COMMA,
    Notation,
)
from trainyard.datasets.tables.recognition.periods import periods_of
from trainyard.raw_columns import with_plain_signs

ENOUGH = 0.95
"""Of the values that are no known mark, the share that must be numbers in one notation."""
DOUBTFUL = 0.5
"""Above this share, a column that is not read as numbers is worth a word."""
FEWEST_NUMBERS = 10
"""Distinct ones, for text that is no known mark to count as missing: among fewer it may be a class of its own."""
MANY_NUMBERS = 30
"""Distinct ones, among which a word that is alone in being none counts as missing, however many rows have it."""
MOST_DIGITS = 15
"""Of a whole number that a float64 holds exactly."""
DIGIT = re.compile(r"\d")
UNIT = r"([^\W\d_][^\s\d]{0,9}|[^\W\d_]{1,2}[23]|[°µ][^\s\d]{0,5})"
AMOUNT = r"[^\w.]{0,2}\d[\d.,' ]*?"
WITH_UNIT = re.compile(rf"{AMOUNT}\s?{UNIT}")
"""A number and what stands behind it, as in 12 kg, 36.6°C, 5 m2 or 10d."""
BEHIND_UNIT = re.compile(rf"{UNIT}\s?{AMOUNT}")
"""A number and what stands before it, as in kg 12."""
NO_UNITS = frozenset({"e", "e2", "e3", "uhr"})
"""Powers of ten, and what stands behind a time."""
MOST_UNITS = 5
"""More of them are no units: postcodes have letters too."""
SIGNS_AROUND = re.compile(r"^\W+|\W+$")
NUMBER = re.compile(r"\d[\d.,]*", re.ASCII)
CLOCK = re.compile(r"\d{1,3}:\d\d(:\d\d([.,]\d+)?)?( ?[AP]M)?", re.ASCII | re.IGNORECASE)
TWO_NUMBERS = re.compile(r"\d+([.,]\d+)?\s?[/x:\u00d7]\s?\d+([.,]\d+)?", re.ASCII)
"""As 120/80; 10-20 is more often a category."""
EXPONENT = re.compile(r"\de[+-]?\d", re.ASCII | re.IGNORECASE)
CODE = re.compile(r"0\d+")
LONG = re.compile(rf"\d{{{MOST_DIGITS + 1},}}")


@dataclass(frozen=True)
class Choice:
    """The notation, or in words why numbers were seen and none was chosen."""

    notation: Notation | None
    doubt: str = ""
    stand_in: str | None = None
    """The only word among very many numbers, which counts as missing."""


def choose(counts: Mapping[str, int], decimal: str = ".") -> Choice | None:
    """The choice for a column whose values, without white space around them, occur so often; None for other text.

    Where the file's `decimal` mark is a comma, of two notations with the same numbers that with the comma is preferred.
    """
    words = {word: rows for word, rows in counts.items() if not is_mark(word)}
    present = sum(words.values())
    with_digits = sum(rows for word, rows in words.items() if DIGIT.search(word))
    if len(words) < 2 or with_digits < DOUBTFUL * present:
        return None
    clock = [word for word in words if CLOCK.fullmatch(word)]
    if sum(words[word] for word in clock) >= ENOUGH * present:
        return Choice(
            None,
            f"they are times, as in {clock[0]!r}, and are to be written as such, or in seconds",
        )
    pairs = [word for word in words if TWO_NUMBERS.fullmatch(word)]
    enough = len(pairs) >= FEWEST_NUMBERS and sum(map(words.__getitem__, pairs)) >= ENOUGH * present
    if enough and periods_of(words, ENOUGH * present) is None:
        return Choice(
            None,
            f"each value holds two numbers, as in {pairs[0]!r}, and they are to be written in columns of their own",
        )
    fits = _fits(words, "")
    if max(fits.values()) <= DOUBTFUL * present:
        units = units_of(words)
        if 1 < len(units) <= MOST_UNITS:
            return Choice(None, f"the numbers have several units ({', '.join(units)})")
        fits = _fits(words, units[0]) if len(units) == 1 else fits
    return _chosen(words, fits, decimal)


def _chosen(words: Mapping[str, int], fits: Mapping[Notation, int], decimal: str) -> Choice | None:
    """The notation that reads the most rows of `words`, of which each reads so many as `fits` says."""
    most, present = max(fits.values()), sum(words.values())
    if most <= DOUBTFUL * present:
        doubt = _several(words, fits) or _adorned(words)
        return Choice(None, doubt) if doubt else None
    fitting = [each for each, rows in fits.items() if rows == most]
    if decimal == ",":
        fitting.sort(key=lambda each: each.decimal != ",")
    numbers = {word for word in words if fitting[0].matches(word)}
    others = words.keys() - numbers
    stand_in = _stand_in(others, numbers)
    too_many = most < ENOUGH * present and stand_in is None
    if too_many or (others and len(numbers) < FEWEST_NUMBERS):
        other = max((word for word in words if word in others), key=words.__getitem__)
        return Choice(None, f"most are numbers, and others are not, such as {other!r}")
    doubt = _codes(numbers) or _mixed(numbers)
    if doubt:
        return Choice(None, doubt)
    chosen = Choice(fitting[0]) if decimal == "," else _unless_ambiguous(fitting, numbers)
    return replace(chosen, stand_in=stand_in)


def _stand_in(others: Collection[str], numbers: Collection[str]) -> str | None:
    """The one word without digits among very many numbers, such as k.A.: the mark of whoever made the table."""
    if len(others) != 1 or len(numbers) < MANY_NUMBERS:
        return None
    other = next(iter(others))
    return None if DIGIT.search(other) else other


def units_of(words: Mapping[str, int], where: re.Pattern[str] = WITH_UNIT) -> list[str]:
    """What stands behind nearly all numbers among values that occur so often, the most frequent first; none where few numbers differ.

    With `BEHIND_UNIT` as `where`, what stands before them.
    """
    found = {word: match[1] for word in words if (match := where.fullmatch(word))}
    rows: Counter[str] = Counter()
    for word, unit in found.items():
        rows[unit] += words[word]
    is_none = any(unit.lower() in NO_UNITS or unit[0].isnumeric() for unit in rows)
    if len(found) < FEWEST_NUMBERS or rows.total() < ENOUGH * sum(words.values()) or is_none:
        return []
    return [unit for unit, _ in rows.most_common()]


def _fits(words: Mapping[str, int], unit: str) -> dict[Notation, int]:
    """How many rows each notation reads."""
    every = [replace(each, unit=unit) for each in NOTATIONS]
    return {each: sum(words[word] for word in words if each.matches(word)) for each in every}


def _unless_ambiguous(fitting: Collection[Notation], numbers: Collection[str]) -> Choice:
    """A comma before three digits, and nothing else that tells.

    Amounts of money have no three decimals, and what has an exponent has no thousands.
    """
    preferred = next(iter(fitting))
    bare = {replace(each, unit="") for each in fitting}
    if PLAIN in bare or not {DECIMAL_COMMA, THOUSANDS_COMMA} <= bare:
        return Choice(preferred)
    if any(EXPONENT.search(word) for word in numbers):
        return Choice(DECIMAL_COMMA)
    if any(re.search(CURRENCIES, word) for word in numbers):
        return Choice(THOUSANDS_COMMA)
    example = max(numbers, key=lambda word: "," in word)
    return Choice(
        None, f"{example!r} may have a decimal comma or thousands, and no value tells which"
    )


def _several(words: Mapping[str, int], fits: Mapping[Notation, int]) -> str:
    """Why no one notation reads them, where each is a number in some; empty where they are none."""
    examples: dict[str, Notation] = {}
    rows = 0
    for word, count in words.items():
        notation = next((each for each in fits if each.matches(word)), None)
        if notation is not None:
            rows += count
            examples.setdefault(word, notation)
    if rows < ENOUGH * sum(words.values()):
        return ""
    first = {notation: word for word, notation in reversed(examples.items())}
    return f"numbers are written in several ways, such as {' and '.join(map(repr, list(first.values())[:2]))}"


def _adorned(words: Mapping[str, int]) -> str:
    """Why they are no numbers, where they would be without the signs around them; empty where not."""
    bare = {word: SIGNS_AROUND.sub("", word) for word in words}
    rows = sum(
        words[word] for word, inner in bare.items() if inner != word and NUMBER.fullmatch(inner)
    )
    if rows < ENOUGH * sum(words.values()):
        return ""
    return f"there are other signs around the numbers, as in {next(iter(bare))!r}, and they are to be written without"


def _codes(numbers: Collection[str]) -> str:
    """Why they are codes rather than numbers; empty where they are not."""
    for word in sorted(with_plain_signs(each).lstrip(APOSTROPHES) for each in numbers):
        if CODE.fullmatch(word):
            return f"{word!r} begins with a zero, as codes do"
        if LONG.fullmatch(word):
            return f"{word!r} has more digits than a number here can hold"
    return ""


def _mixed(numbers: Collection[str]) -> str:
    """Why they are not of one kind; empty where they are."""
    numbers = {with_plain_signs(word) for word in numbers}
    found_in = (found[0] for word in numbers if (found := re.search(CURRENCIES, word)))
    currencies = {each.upper() if each.isalpha() else each for each in found_in}
    if len(currencies) > 1:
        return f"they are in several currencies ({', '.join(sorted(currencies))})"
    for sign, said in ((PER_CENT, "per cent"), (PER_MILLE, "per mille")):
        if 0 < sum(sign in word for word in numbers) < len(numbers):
            return f"some have a {said} sign and others have none"
    return ""
