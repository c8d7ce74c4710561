"""The features of a table, each read, typed, divided into parts, and looked at for what a person should know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from trainyard.datasets.sketches import Sketch
from trainyard.datasets.splitting import Rows
from trainyard.datasets.tables import stored, suspicions
from trainyard.datasets.tables.columns import is_date, missing, plain
from trainyard.datasets.tables.doubles import Doubles
from trainyard.datasets.tables.features import Feature, feature, parts_of
from trainyard.datasets.tables.on_disk import InFiles, InMemory, ReadWhenAsked
from trainyard.datasets.tables.recognition.notation import DECIMAL_COMMA, SECONDS
from trainyard.datasets.tables.recognition.reading import (
    Reading,
    as_stated,
    dates_as_stated,
    recognised,
)
from trainyard.datasets.tables.selection import Selection, stated_at
from trainyard.errors import InvalidData
from trainyard.raw_columns import features_of

Columns = dict[str, pa.ChunkedArray] | ReadWhenAsked


@dataclass(frozen=True)
class Features:
    """The features of each part, a sketch of each, how text and dates were read, and what to say of them."""

    frames: dict[str, pd.DataFrame]
    sketches: dict[str, Sketch]
    notations: dict[str, dict[str, Any]]
    warnings: list[str]
    dates: dict[str, dict[str, Any]]

    def described(self, parts: Mapping[str, Rows]) -> dict[str, Any]:
        """What `profile` says of them, by its names."""
        kinds = self.frames["train"].dtypes.items()
        return {
            "columns": {name: str(kind) for name, kind in kinds},
            "sizes": {part: len(rows) for part, rows in parts.items()},
            "sketches": self.sketches,
        }


def gathered(  # noqa: PLR0913 - a table, and what it is for
    columns: Columns,
    selection: Selection,
    y: npt.NDArray[Any],
    parts: Mapping[str, Rows],
    digest: Callable[[Any], None],
    *,
    decimal: str = ".",
    kept: InFiles | InMemory,
) -> Features:
    """All features of a table whose targets are `y`, one by one: `columns` are used up, and `digest` is given all values on the way.

    `decimal` is the mark in the file: a logged model that is given its text reads it as it was read here.
    """
    sketches: dict[str, Sketch] = {}
    notations: dict[str, dict[str, Any]] = {}
    dates: dict[str, dict[str, Any]] = {}
    said: list[str] = []
    giveaways = suspicions.Giveaways(y, parts)
    doubles = Doubles({part: len(rows) for part, rows in parts.items()})
    for name in selection.features:
        read = column_read(name, columns.pop(name), selection, decimal)
        if (why := _left_out(name, read, selection)) is not None:
            said.append(why)
            continue
        said += read.warnings
        if (notation := read.as_json()) is not None:
            notations[name] = notation
        one = _feature(name, read, selection)
        each, sketches[name] = parts_of(one, parts, digest)
        totals = suspicions.of_totals(one, read.missing)
        said += filter(None, (totals, *_suspected(one, each), giveaways.said(name, each)))
        doubles.add(each)
        if read.dates is not None:
            dates[name] = read.dates.as_json() | features_of(each["train"], read.dates.formats)
        for part, values in each.items():
            kept.put(part, name, values)
    _check_any(sketches)
    made = {part: kept.frame(part, len(rows)) for part, rows in parts.items()}
    twice = doubles.said({part: y[rows] for part, rows in parts.items()})
    return Features(made, sketches, notations, [*said, *filter(None, [twice])], dates)


def _suspected(one: Feature, parts: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Sentences about what a feature's values look like, None for each that does not hold."""
    return (
        suspicions.of_values(one),
        suspicions.of_stand_ins(one),
        suspicions.of_stand_in_dates(one),
        suspicions.of_spelling(one.name, parts["train"]),
    )


def _left_out(name: str, read: Reading, selection: Selection) -> str | None:
    """Why the column is no feature; None where it is one."""
    if read.dates is not None and selection.ignores_dates and name not in selection.dates:
        return f"the column {name!r} holds dates and is left out, as data.dates is 'ignore'"
    if not selection.named and missing(read.column) == len(read.column):
        return f"every value of the column {name!r} is missing, so it is left out"
    return None


def _check_any(columns: Mapping[str, Any]) -> None:
    if not columns:
        raise InvalidData(
            "no columns are left to train on: in all features every value is missing, or they hold dates and data.dates is 'ignore'",
            "/data/uri",
        )


def column_read(name: str, column: pa.ChunkedArray, selection: Selection, decimal: str) -> Reading:
    """A feature as the request says that it is read, else as its values tell. Raises `InvalidData`."""
    if name in selection.categorical:
        if is_date(plain(column).type):
            raise InvalidData(
                f"the column {name!r} holds dates ({column.type}), which are no categories; take it out of categorical and columns, or write it as text in the table",
                stated_at(name),
            )
        return Reading(column)
    if name in selection.dates:
        return dates_as_stated(name, column, selection.dates[name])
    if name in selection.numbers:
        return as_stated(name, column, selection.numbers[name])
    if decimal == "," and pt.is_floating(column.type):
        return Reading(column, DECIMAL_COMMA)
    said = tuple(filter(None, [stored.said(name, column.type)]))
    if stored.is_span(column.type):
        return Reading(column, SECONDS, said)
    column = stored.text_of(column) if stored.is_bytes(column.type) else column
    read = recognised(name, column, decimal)
    return replace(read, warnings=(*said, *read.warnings))


def _feature(name: str, read: Reading, selection: Selection) -> Feature:
    return feature(
        name,
        read.column,
        is_category=name in selection.categorical,
        pointer=selection.pointer(name),
    )
