"""A text column to numbers, in Arrow, so that millions of rows take no Python loop."""

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.datasets.tables.recognition.marks import is_mark
from trainyard.datasets.tables.recognition.notation import Notation
from trainyard.raw_columns import OTHER_SIGNS, SIGNS


@dataclass(frozen=True)
class Converted:
    """`column` of float64, null where the text is no number; such text with its rows, the most frequent first."""

    column: pa.ChunkedArray
    marks: dict[str, int]
    """Text that is known to stand for a missing value."""
    others: dict[str, int]
    """Text that is not."""


def converted(
    column: pa.ChunkedArray, notation: Notation, missing: Collection[str] = ()
) -> Converted:
    """The numbers in a text column; what is in `missing` counts as a mark."""
    text = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    bare = _with_plain_signs(text)
    is_number = pc.match_substring_regex(bare, notation.pattern)
    bare = pc.replace_substring_regex(bare, notation.ignored, "")
    if notation.decimal != ".":
        bare = pc.replace_substring(bare, notation.decimal, ".")
    values = pc.if_else(is_number, bare, pa.scalar(None, bare.type)).cast(pa.float64())
    marks: dict[str, int] = {}
    others: dict[str, int] = {}
    for word, rows in _counted(text.filter(pc.invert(is_number))):
        (marks if is_mark(word) or word in missing else others)[word] = rows
    return Converted(values, marks, others)


def _with_plain_signs(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """As `raw_columns.with_plain_signs` does it."""
    if pc.any(pc.match_substring_regex(text, OTHER_SIGNS)).as_py():
        for pattern, plain in SIGNS:
            text = pc.replace_substring_regex(text, pattern, plain)
    return text


def _counted(text: pa.ChunkedArray) -> list[tuple[str, int]]:
    found = [(each["values"], each["counts"]) for each in pc.value_counts(text).to_pylist()]
    return sorted(found, key=lambda each: -each[1])
