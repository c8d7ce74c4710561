"""Columns of a CSV that are read as text because they were text where a model, or the rest of the table, comes from.

A CSV tells types by its values alone: where only 01 to 19 occur of departments among which there are a 2A and a 2B,
it would be numbers, and no department would be known again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard import raw_columns
from trainyard.contract import AnyTable, CsvOptions
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables import delimited
from trainyard.datasets.tables.columns import is_numeric, is_text
from trainyard.datasets.tables.stored import is_bytes

ZERO_FIRST = r"^\s*[+-]?0[0-9xX]"
LONG = rf"{ZERO_FIRST}|^\s*[+-]?[0-9]{{17,}}\s*$"
"""Of such a column of floats: whole numbers that an int64 does not hold, among them."""
Trained = Sequence[Mapping[str, Any]]
"""Columns as a model's `preprocessing.json` describes them."""


def is_text_there(kind: pa.DataType) -> bool:
    """Whether a column of this type is text to a training."""
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    return is_text(kind) or is_bytes(kind)


def texts_of(schema: pa.Schema) -> frozenset[str]:
    """The columns that are text."""
    return frozenset(field.name for field in schema if is_text_there(field.type))


def manner(trained: Trained) -> list[tuple[str, bool, Any]]:
    """What of it tells how a CSV is read: the same for two models that were trained on other rows of one table."""
    told = ((each["name"], _has_words(each), each.get("notation")) for each in trained)
    return [(name, words, notation) for name, words, notation in told if words or notation]


def start_of(  # noqa: PLR0913 - a file, and how it is read
    location: Location,
    spec: AnyTable,
    trained: Trained = (),
    texts: frozenset[str] = frozenset(),
    *,
    needed: Collection[str] = frozenset(),
    as_written: Collection[str] = frozenset(),
) -> delimited.Start:
    """The first rows of a CSV whose columns are `trained` on; `texts` are text beside those. Raises `InvalidData`.

    All files of a folder, or none, have the columns `needed`. Those `as_written` are text where a number would not
    be written as its first rows have it: `007`, or more digits than a float holds.

    Numbers that training read from text, in a notation of its own, are read so again where the first rows are all
    written so: the 19.944 of one that has points between thousands. A column that the request's `filter` names
    is of the type that the file tells, as it is at submit.
    """
    asked: CsvOptions | None = spec.csv
    filtered = {each.column for each in spec.filter}
    first_rows = partial(delimited.first_rows, location, asked, all_files=True, needed=needed)
    words = texts | {each["name"] for each in trained if _has_words(each)}
    words |= _lossy(first_rows, {*as_written} - words - filtered)
    notations = {each["name"]: each for each in trained if each.get("notation")}
    if asked is not None and asked.decimal is not None:
        notations = {}
    as_text = (words | {*notations}) - filtered
    start = first_rows(texts=as_text)
    mark = start.layout.dialect.decimal
    others = {
        name for name, each in notations.items() if not _is_so_written(start.rows, each, mark)
    } - words
    if not others & as_text & {*start.rows.column_names}:
        return start
    return first_rows(texts=as_text - others)


def _lossy(first_rows: Callable[..., delimited.Start], names: set[str]) -> frozenset[str]:
    """Those of the columns that are numbers, and are written otherwise than a number would be.

    What the names of folders tell (`year=2024`) is no text of a file's.
    """
    if not names:
        return frozenset()
    schema = first_rows().rows.schema
    places = {name: schema.get_field_index(name) for name in names}
    kinds = {name: schema.field(at).type for name, at in places.items() if at >= 0}
    patterns = {name: LONG if pt.is_floating(kind) else ZERO_FIRST for name, kind in kinds.items()}
    numbers = frozenset(name for name, kind in kinds.items() if is_numeric(kind))
    if not numbers:
        return frozenset()
    rows = first_rows(texts=numbers).rows
    written = {name: rows[name] for name in numbers if is_text(rows[name].type)}
    return frozenset(
        name
        for name, texts in written.items()
        if pc.any(pc.match_substring_regex(texts, patterns[name]), min_count=0).as_py()
    )


def _has_words(column: Mapping[str, Any]) -> bool:
    """Whether a category is text that stands for no number and no truth: networks write those as text too."""
    return any(isinstance(each, str) and _is_word(each) for each in column.get("categories") or ())


def _is_word(text: str) -> bool:
    meant = raw_columns.same(text)
    return isinstance(meant, str) and meant not in raw_columns.TRUTH


def _is_so_written(rows: pa.Table, column: Mapping[str, Any], mark: str) -> bool:
    """Whether the values are written in the column's notation, which has another decimal mark than the file."""
    name, notation = column["name"], column["notation"]
    if notation["decimal"] == mark or name not in rows.column_names:
        return False
    values = pd.Series(pc.unique(rows[name]).to_pylist(), dtype=object)
    try:
        raw_columns.numbers(values, column)
    except ValueError:
        return False
    return True
