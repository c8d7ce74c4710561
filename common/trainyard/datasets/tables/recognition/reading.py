"""One column as it is to be trained on: text that holds numbers or dates as these, with a sentence for whoever should know."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from trainyard.contract import DateColumn, NumberColumn
from trainyard.datasets.tables.columns import is_date, is_text, plain
from trainyard.datasets.tables.recognition.choosing import BEHIND_UNIT, ENOUGH, choose, units_of
from trainyard.datasets.tables.recognition.converting import Converted, converted
from trainyard.datasets.tables.recognition.dates import STATE, Written, order_of
from trainyard.datasets.tables.recognition.lookalikes import of_numbers, of_text
from trainyard.datasets.tables.recognition.marks import is_mark
from trainyard.datasets.tables.recognition.notation import Notation
from trainyard.datasets.tables.recognition.reading_dates import (
    MOST_MISSING,
    ReadDates,
    dates_as_they_are,
    dates_in_text,
    digits_of,
)
from trainyard.datasets.tables.recognition.within import numbers_within
from trainyard.datasets.tables.recognition.zones import named_zones, unknown_zone
from trainyard.datasets.tables.selection import stated_at
from trainyard.errors import InvalidData

SAMPLE_ROWS = 2_000
LONGEST_SHOWN = 40


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
    dates: ReadDates | None = None
    """How it was read where it is dates; `column` is then of timestamp[us] without a zone."""

    def as_json(self) -> dict[str, Any] | None:
        """What a logged model needs to read the text as training did; None where there is nothing to read so."""
        if self.notation is None:
            return None
        return self.notation.as_json() | {"missing": list(self.missing[:MOST_MISSING])}


def recognised(name: str, column: pa.ChunkedArray, decimal: str = ".") -> Reading:
    """Numbers where the text holds numbers in one consistent notation, dates likewise; else the column as it is.

    `decimal` is the mark in all of the file: with a comma, 1.234 are thousands.

    What pandas or Arrow stored as categories was called categories by whoever wrote it, and stays. Raises
    `InvalidData` for dates beyond the calendar.
    """
    if _holds_dates(column.type):
        return _of_dates(dates_as_they_are(name, plain(column), stated_at(name)))
    if pt.is_dictionary(column.type) or not is_text(column.type):
        return Reading(column, warnings=_lookalike(name, column))
    column = plain(column)
    counts = sample(column)
    choice = choose(counts, decimal)
    if choice is None:
        return _dates_or_text(name, column, counts)
    if choice.notation is None:
        return _doubted(name, column, choice.doubt)
    made = converted(column, choice.notation, [choice.stand_in] if choice.stand_in else ())
    others = sum(made.others.values())
    if others > (1 - ENOUGH) * (len(column) - column.null_count - sum(made.marks.values())):
        doubt = f"most are numbers, and {others} are not, such as {_shown(next(iter(made.others)))}"
        return _doubted(name, column, doubt)
    example = next((word for word in counts if choice.notation.matches(word)), "")
    said = (_read(name, example, choice.notation, made), *_lookalike(name, made.column))
    return Reading(made.column, choice.notation, said, missing=(*made.marks, *made.others))


def _dates_or_text(name: str, column: pa.ChunkedArray, counts: Mapping[str, int]) -> Reading:
    """Text of no known notation, whose values occur so often: dates, or categories, with a word where they hold numbers."""
    written = order_of(counts)
    if written is not None:
        return _dates(name, column, counts, written)
    words = {word: rows for word, rows in counts.items() if not is_mark(word)}
    if (days := of_text(name, words)) is not None:
        return Reading(column, warnings=(days,))
    doubt = numbers_within(words)
    return _doubted(name, column, doubt) if doubt else Reading(column)


def _lookalike(name: str, column: pa.ChunkedArray) -> tuple[str, ...]:
    """What there is to say of numbers that look like dates."""
    said = of_numbers(name, column, _sample_rows(column))
    return () if said is None else (said,)


def as_stated(name: str, column: pa.ChunkedArray, stated: NumberColumn) -> Reading:
    """Numbers, as the request says they are written. Raises `InvalidData` for text that is none."""
    column = plain(column)
    if is_date(column.type):
        raise InvalidData(
            f"the column {name!r} holds dates ({column.type}), which are no numbers; take it out here, and they are trained on as dates",
            stated_at(name),
        )
    if not is_text(column.type):
        return Reading(column)
    notation = Notation(stated.decimal, stated.thousands, _unit(column))
    made = converted(column, notation, stated.missing)
    for word, rows in made.others.items():
        raise InvalidData(
            f"the column {name!r} is {_shown(word)} in {rows} rows, which is no number with {notation.words}; list it in missing, or say how the numbers are written",
            stated_at(name),
        )
    return Reading(made.column, notation, missing=(*stated.missing, *made.marks))


def _unit(column: pa.ChunkedArray) -> str:
    """What stands behind all numbers, or before them, where it is one thing."""
    counts = sample(column)
    units = units_of(counts) or units_of(counts, BEHIND_UNIT)
    return units[0] if len(units) == 1 else ""


def dates_as_stated(name: str, column: pa.ChunkedArray, stated: DateColumn) -> Reading:
    """Dates, as the request says they are written. Raises `InvalidData` for text that is none."""
    column, here = plain(column), stated_at(name)
    if is_date(column.type):
        return _of_dates(dates_as_they_are(name, column, here))
    digits = None if is_text(column.type) else digits_of(column)
    if digits is None and not is_text(column.type):
        raise InvalidData(
            f"the column {name!r} is of type {column.type}, and dates are dates, timestamps, text such as 2024-12-31, or whole numbers such as 20241231; write them so in the table",
            here,
        )
    column = column if digits is None else digits
    counts = sample(column)
    made = dates_in_text(column, counts, _orders_stated(name, counts, stated))
    made = replace(made, digits=all(word.isdecimal() for word in counts))
    for word, rows in made.others.items():
        raise InvalidData(
            f"the column {name!r} is {_shown(word)} in {rows} rows, which is no date as the others are; mend it in the table, or leave it empty",
            here,
        )
    return _of_dates(made, *_beyond(name, made))


def _beyond(name: str, made: ReadDates) -> list[str]:
    """A sentence where two digits were read as a year to come that may be one that has passed."""
    if made.beyond is None:
        return []
    example, year = made.beyond
    return [
        f"in the column {name!r} {_shown(example)} is read as {year}, as years of two digits are, and others as years before 2000; where it has passed, write years with four digits in the table"
    ]


def _orders_stated(name: str, counts: Mapping[str, int], stated: DateColumn) -> list[str]:
    if stated.day_first is not None:
        return ["day_first" if stated.day_first else "month_first", "year_first", "month_named"]
    written = order_of(counts)
    if written is None:
        example = next(iter(counts), "")
        raise InvalidData(
            f"the column {name!r} holds text such as {_shown(example)}, which is no date; take it out here",
            stated_at(name),
        )
    if written.order is None:
        raise InvalidData(
            f"the column {name!r} holds dates with {written.words}; {written.cure}",
            stated_at(name),
        )
    return [written.order]


def _holds_dates(kind: pa.DataType) -> bool:
    return is_date(kind.value_type if pt.is_dictionary(kind) else kind)


def _of_dates(made: ReadDates, *warnings: str) -> Reading:
    return Reading(made.column, dates=made, warnings=warnings)


def sample(column: pa.ChunkedArray) -> Counter[str]:
    """Values of rows from all over the column, without white space around them, and how often each occurs."""
    values = column.take(pa.array(_sample_rows(column))).to_pylist()
    return Counter(value.strip() for value in values if value is not None)


def _sample_rows(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Positions from all over the column."""
    rows = np.linspace(0, max(len(column) - 1, 0), SAMPLE_ROWS)
    return np.unique(rows.astype(np.int64))[: len(column)]


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


def _dates(
    name: str, column: pa.ChunkedArray, counts: Mapping[str, int], written: Written
) -> Reading:
    """Dates where it is plain how they are written, and the text as it is where it is not."""
    example = _shown(next(word for word in counts if re.search("[1-9]", word)))
    found = f"the column {name!r} holds dates as text, such as {example}, with {written.words}"
    if written.order is None:
        stated = json.dumps({name: {"type": "date", "day_first": True}}, ensure_ascii=False)
        cure = (
            f"say which in data.columns, such as {stated}"
            if written.cure == STATE
            else written.cure
        )
        said = f"{found}, and is read as categories, one a date; {cure}"
        return Reading(column, warnings=(said,))
    made = dates_in_text(column, counts, [written.order])
    lost = {**made.marks, **made.others}
    others = sum(made.others.values())
    if others > (1 - ENOUGH) * (len(column) - column.null_count - sum(made.marks.values())):
        why = (
            unknown_zone(made.others)
            or f"{others} rows are written otherwise, such as {_shown(next(iter(made.others)))}"
        )
        said = f"{found}, and is read as categories, one a date: {why}"
        return Reading(column, warnings=(said,))
    shown, rows = ", ".join(map(_shown, list(lost)[:3])), sum(lost.values())
    missing = f"; {shown} counts as missing, in {rows} of {len(column)} rows" if lost else ""
    zones = named_zones(counts) if made.zone else ""
    said = f"{found}, and is read as dates{zones}{missing}; {_otherwise(name)}"
    return _of_dates(made, said, *_beyond(name, made))


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
