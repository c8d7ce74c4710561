"""One column as it is to be trained on: text that holds numbers as numbers, with a sentence for whoever should know."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from trainyard.contract import NumberColumn
from trainyard.datasets.tables.columns import is_text, plain
from trainyard.datasets.tables.recognition.choosing import ENOUGH, choose
from trainyard.datasets.tables.recognition.converting import Converted, converted
from trainyard.datasets.tables.recognition.dates import order_of
from trainyard.datasets.tables.recognition.notation import Notation
from trainyard.datasets.tables.selection import stated_at
from trainyard.errors import InvalidData

SAMPLE_ROWS = 2_000
LONGEST_SHOWN = 40
MOST_MISSING = 1_000
"""Words, the most frequent, that a logged model is told of."""


@dataclass(frozen=True)
class Reading:
    """The column, how its text was read where it is numbers now, and what there is to say of it."""

    column: pa.ChunkedArray
    notation: Notation | None = None
    warnings: tuple[str, ...] = ()
    doubt: str = ""
    """Why text that looks like numbers was not read as numbers."""
    missing: tuple[str, ...] = ()
    """Text that was found to stand for a missing value."""

    def as_json(self) -> dict[str, Any] | None:
        """What a logged model needs to read the text as training did; None where there is nothing to read so."""
        if self.notation is None:
            return None
        return self.notation.as_json() | {"missing": list(self.missing[:MOST_MISSING])}


def recognised(name: str, column: pa.ChunkedArray) -> Reading:
    """Numbers where the text holds numbers in one consistent notation; else the column as it is.

    What pandas or Arrow stored as categories was called categories by whoever wrote it, and stays.
    """
    if pt.is_dictionary(column.type) or not is_text(column.type):
        return Reading(column)
    column = plain(column)
    counts = _sample(column)
    choice = choose(counts)
    if choice is None:
        order = order_of(counts)
        return Reading(column, warnings=() if order is None else (_dates(name, counts, order),))
    if choice.notation is None:
        return _doubted(name, column, choice.doubt)
    made = converted(column, choice.notation)
    others = sum(made.others.values())
    if others > (1 - ENOUGH) * (len(column) - column.null_count - sum(made.marks.values())):
        doubt = f"most are numbers, and {others} are not, such as {_shown(next(iter(made.others)))}"
        return _doubted(name, column, doubt)
    example = next((word for word in counts if choice.notation.matches(word)), "")
    said = _read(name, example, choice.notation, made)
    return Reading(made.column, choice.notation, (said,), missing=(*made.marks, *made.others))


def as_stated(name: str, column: pa.ChunkedArray, stated: NumberColumn) -> Reading:
    """Numbers, as the request says they are written. Raises `InvalidData` for text that is none."""
    column = plain(column)
    if not is_text(column.type):
        return Reading(column)
    notation = Notation(stated.decimal, stated.thousands)
    made = converted(column, notation, stated.missing)
    for word, rows in made.others.items():
        raise InvalidData(
            f"the column {name!r} is {_shown(word)} in {rows} rows, which is no number with {notation.words}; list it in missing, or say how the numbers are written",
            stated_at(name),
        )
    return Reading(made.column, notation, missing=(*stated.missing, *made.marks))


def _sample(column: pa.ChunkedArray) -> Counter[str]:
    """Values of rows from all over the column, without white space around them, and how often each occurs."""
    rows = np.unique(np.linspace(0, max(len(column) - 1, 0), SAMPLE_ROWS).astype(np.int64))
    values = column.take(pa.array(rows[: len(column)])).to_pylist()
    return Counter(value.strip() for value in values if value is not None)


def _read(name: str, example: str, notation: Notation, made: Converted) -> str:
    lost = {**made.marks, **made.others}
    shown, rows = ", ".join(map(_shown, list(lost)[:3])), sum(lost.values())
    missing = f"; {shown} counts as missing, in {rows} of {len(made.column)} rows" if lost else ""
    return f"the column {name!r} holds numbers as text, such as {_shown(example)}, and is read as numbers with {notation.words}{missing}; {_otherwise(name)}"


def _otherwise(name: str) -> str:
    stated = json.dumps({name: {"type": "category"}}, ensure_ascii=False)
    return f"set data.columns to {stated} to keep the text"


def _doubted(name: str, column: pa.ChunkedArray, doubt: str) -> Reading:
    stated = json.dumps({name: {"type": "number", "decimal": ","}}, ensure_ascii=False)
    said = f"the column {name!r} looks like numbers and is read as categories: {doubt}; say how it is written in data.columns, such as {stated}, or name it in categorical"
    return Reading(column, warnings=(said,), doubt=doubt)


def _dates(name: str, counts: Mapping[str, int], order: str) -> str:
    example = _shown(next(iter(counts)))
    return f"the column {name!r} holds dates as text, such as {example}, with {order}, and is read as categories, one a date; drop it, or turn it into numbers first"


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
