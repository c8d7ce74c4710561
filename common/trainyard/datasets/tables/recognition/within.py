"""Numbers that stand within other text, such as 3h 20m: what they mean is for a person to say."""

import re
from collections import Counter
from collections.abc import Mapping

from trainyard.datasets.tables.recognition.choosing import ENOUGH

SOME = 0.5
"""Of the values, so many must hold a number, where `ENOUGH` of them are written in few ways."""
FEWEST = 10
"""Values that differ: fewer categories are learnt well as they are."""
MOST_WAYS = 5
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
PLACE = "#"
CODE = re.compile(r"[^\W\d]*[-_/:.]?#(?:[-_/.]?#)*")
"""A name and a number without a space between, or numbers with dots, are an identifier or a version."""
ONE_NUMBER = re.compile(r"[^\W\d]\S{0,9}\s#")


def numbers_within(words: Mapping[str, int]) -> str:
    """Why values that occur so often are no numbers, where most hold some, and few ways to write them; else empty."""
    ways: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for word, rows in words.items():
        way = NUMBER.sub(PLACE, word)
        ways[way] += rows
        examples.setdefault(way, word)
    most = ways.most_common(MOST_WAYS)
    with_numbers = [way for way, _ in most if PLACE in way]
    in_few = {word for word in words if NUMBER.sub(PLACE, word) in with_numbers}
    telling = [
        way for way in with_numbers if not CODE.fullmatch(way) or (way == PLACE and len(most) > 1)
    ]
    if (
        not telling
        or len(in_few) < FEWEST
        or sum(rows for _, rows in most) < ENOUGH * ways.total()
        or sum(words[word] for word in in_few) < SOME * ways.total()
    ):
        return ""
    if len(most) > 1:
        shown = " and ".join(repr(examples[way]) for way, _ in most[:2])
        return f"numbers stand in text that is written in several ways, such as {shown}, and are to be written alike"
    example = examples[telling[0]]
    if ONE_NUMBER.fullmatch(telling[0]):
        return f"a number stands behind a word, as in {example!r}, which may be a unit or a name"
    return f"numbers stand within other text, as in {example!r}, and are to be written as one number, or in columns of their own"
