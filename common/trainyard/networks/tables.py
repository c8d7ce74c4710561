"""Tables as the numbers a network takes: scaled, missing values marked, categories one-hot.

`TableEncoding` is fitted on training rows and written as JSON beside a logged model. `encode` is
written so that a model's own code, which runs without Trainyard, can be the same few lines.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from trainyard.datasets.tables.on_disk import append
from trainyard.errors import InvalidData
from trainyard.mapped_rows import RowsInFile, rows_of
from trainyard.raw_columns import date_features, feature_names
from trainyard.trainer import Data

Floats = npt.NDArray[np.float32]
ROWS_AT_ONCE = 1 << 14
"""Encoded at once, where not all of a table is to be in memory as floats."""
MOST_CATEGORIES = 1_000
"""Of one column: each is a column of floats, so the 30,000 of an identifier would take 120 KB a row."""


@dataclass(frozen=True)
class NumericColumn:
    """Scaled to mean 0 and variance 1 by the training rows; missing values become the mean."""

    name: str
    mean: float
    scale: float
    kind: str = "number"
    notation: dict[str, Any] | None = None
    """How they are written where the table has them as text, as `Data.notations` says."""
    optional: bool = False
    """Whether training rows lacked it, so that rows without the column can be answered."""


@dataclass(frozen=True)
class CategoryColumn:
    """One column a category seen in training; unseen and missing values are all zeros.

    Where there are more than `MOST_CATEGORIES`, the most frequent have one, if training rows have them twice.
    """

    name: str
    categories: list[str]
    kind: str = "category"
    optional: bool = False


@dataclass(frozen=True)
class DateColumn:
    """Elapsed days, scaled as numbers are, then sine and cosine of each part; a missing date is all zeros."""

    name: str
    mean: float
    scale: float
    date: dict[str, Any]
    """How it is written and what is made of it, as `Data.dates` says."""
    kind: str = "date"
    optional: bool = False


AnyColumn = NumericColumn | CategoryColumn | DateColumn


@dataclass(frozen=True)
class TableEncoding:
    """What was learnt from the training rows; for regression also how to scale the target back."""

    columns: list[AnyColumn]
    target_mean: float = 0.0
    target_scale: float = 1.0

    @classmethod
    def fitted(
        cls,
        frame: pd.DataFrame,
        target: npt.NDArray[np.float64] | None = None,
        notations: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        dates: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> Self:
        """From training rows, and for regression their targets of (n,); `notations` and `dates` as in `Data`.

        Raises `InvalidData` where there are only identifiers.
        """
        columns = [_fitted(str(name), frame[name], notations, dates) for name in frame.columns]
        if not any(map(_width, columns)):
            raise InvalidData(
                "a network has nothing to learn from: every feature has a value of its own in each row, as identifiers do; add features that rows have in common",
                "/data/features",
            )
        if target is None:
            return cls(columns)
        return cls(columns, float(target.mean()), float(target.std()) or 1.0)

    @property
    def width(self) -> int:
        """Numbers a row becomes."""
        return sum(map(_width, self.columns))

    def encode_to_file(self, frame: pd.DataFrame) -> RowsInFile:
        """What `encode` gives of a row or more, in a temporary file. Raises `DiskFull`."""
        file = Path(tempfile.mkdtemp()) / "rows"
        for rows in slices(len(frame)):
            append(file, self.encode(rows_of(frame, rows)))
        return RowsInFile.of(file, np.float32, (len(frame), self.width))

    def encode(self, frame: pd.DataFrame) -> Floats:
        """float32 of (n, width)."""
        out = np.zeros((len(frame), self.width), dtype=np.float32)
        at = 0
        for column in self.columns:
            end = at + _width(column)
            _encode(frame[column.name], column, out[:, at:end])
            at = end
        return out

    def write(self, path: Path, **more: Any) -> None:
        """As JSON, with `more` beside it."""
        path.write_text(json.dumps({**asdict(self), **more}))


def slices(rows: int) -> Iterator[slice]:
    """Of so many rows, in order; one at least."""
    return (slice(at, at + ROWS_AT_ONCE) for at in range(0, max(rows, 1), ROWS_AT_ONCE))


def _width(column: AnyColumn) -> int:
    """Numbers a value of the column becomes."""
    if isinstance(column, CategoryColumn):
        return len(column.categories)
    return len(feature_names(column.date)) if isinstance(column, DateColumn) else 1


def _encode(values: pd.Series, column: AnyColumn, out: Floats) -> None:
    """Write the numbers of one column into `out`, zeros of (n, width)."""
    if isinstance(column, CategoryColumn):
        names = pd.Index(values.astype(object).map(str))
        codes = pd.Index(column.categories).get_indexer(names)
        rows = np.flatnonzero(codes >= 0)
        out[rows, codes[rows]] = 1.0
        return
    if isinstance(column, DateColumn):
        numbers = date_features(values.to_numpy(), column.date)
    else:
        found = pd.to_numeric(values, errors="coerce")
        numbers = np.array(found, dtype=np.float64)[:, np.newaxis]
    numbers[:, 0] = (numbers[:, 0] - column.mean) / column.scale
    out[:] = np.nan_to_num(numbers)


def _fitted(
    name: str,
    values: pd.Series,
    notations: Mapping[str, Mapping[str, Any]],
    dates: Mapping[str, Mapping[str, Any]],
) -> AnyColumn:
    optional = bool(values.isna().any())
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = [str(each) for each in values.cat.categories[_worth_a_column(values)]]
        return CategoryColumn(name, names, optional=optional)
    if name in dates:
        elapsed = date_features(values.to_numpy(), dates[name])[:, 0]
        return DateColumn(name, *_centre(elapsed), dict(dates[name]), optional=optional)
    numbers = values.to_numpy(dtype=np.float64)
    notation = dict(notations[name]) if name in notations else None
    return NumericColumn(name, *_centre(numbers), notation=notation, optional=optional)


def warnings_about(data: Data) -> list[str]:
    """A sentence for each column that has more categories than become columns of their own."""
    if data.kind != "table":
        return []
    columns = [
        values
        for _, values in data.frame.items()
        if isinstance(values.dtype, pd.CategoricalDtype)
        and len(values.cat.categories) > MOST_CATEGORIES
    ]
    return [_shortened(values, len(_worth_a_column(values))) for values in columns]


def _shortened(values: pd.Series, kept: int) -> str:
    count = f"the column {values.name!r} has {len(values.cat.categories):,} categories in the training rows"
    if not kept:
        return f"{count}, each in one row, as identifiers have, so it is left out; drop it"
    return (
        f"{count}, and the network learns from the {kept:,} most frequent; others count as missing"
    )


def _worth_a_column(values: pd.Series) -> npt.NDArray[np.int64]:
    """The positions of the categories that are kept, in their order."""
    count = len(values.cat.categories)
    if count <= MOST_CATEGORIES:
        return np.arange(count)
    codes = values.cat.codes.to_numpy()
    times = np.bincount(codes[codes >= 0], minlength=count)
    often = np.argsort(-times, kind="stable")[:MOST_CATEGORIES]
    return np.sort(often[times[often] > 1])


def _centre(numbers: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Mean and deviation of what is there; 1 in place of a deviation of 0."""
    return float(np.nanmean(numbers)), float(np.nanstd(numbers)) or 1.0
