"""Tables as the numbers a network takes: scaled, missing values marked, categories one-hot.

`TableEncoding` is fitted on training rows and written as JSON beside a logged model. `encode` is
written so that a model's own code, which runs without Trainyard, can be the same few lines.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NumericColumn:
    """Scaled to mean 0 and variance 1 by the training rows; missing values become the mean."""

    name: str
    mean: float
    scale: float
    kind: str = "number"
    notation: dict[str, Any] | None = None
    """How they are written where the table has them as text, as `Data.notations` says."""


@dataclass(frozen=True)
class CategoryColumn:
    """One column a category seen in training; unseen and missing values are all zeros."""

    name: str
    categories: list[str]
    kind: str = "category"


@dataclass(frozen=True)
class TableEncoding:
    """What was learnt from the training rows; for regression also how to scale the target back."""

    columns: list[NumericColumn | CategoryColumn]
    target_mean: float = 0.0
    target_scale: float = 1.0

    @classmethod
    def fitted(
        cls,
        frame: pd.DataFrame,
        target: npt.NDArray[np.float64] | None = None,
        notations: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> Self:
        """From training rows, and for regression their targets of (n,); `notations` as in `Data`."""
        columns = [_fitted(str(name), frame[name], notations) for name in frame.columns]
        if target is None:
            return cls(columns)
        return cls(columns, float(target.mean()), float(target.std()) or 1.0)

    @property
    def width(self) -> int:
        """Numbers a row becomes."""
        return sum(
            len(column.categories) if isinstance(column, CategoryColumn) else 1
            for column in self.columns
        )

    def encode(self, frame: pd.DataFrame) -> Floats:
        """float32 of (n, width)."""
        out = np.zeros((len(frame), self.width), dtype=np.float32)
        at = 0
        for column in self.columns:
            if isinstance(column, CategoryColumn):
                names = pd.Index(frame[column.name].astype(object).map(str))
                codes = pd.Index(column.categories).get_indexer(names)
                rows = np.flatnonzero(codes >= 0)
                out[rows, at + codes[rows]] = 1.0
                at += len(column.categories)
            else:
                values = pd.to_numeric(frame[column.name], errors="coerce").to_numpy(
                    dtype=np.float64
                )
                out[:, at] = np.nan_to_num((values - column.mean) / column.scale)
                at += 1
        return out

    def write(self, path: Path, **more: Any) -> None:
        """As JSON, with `more` beside it."""
        path.write_text(json.dumps({**asdict(self), **more}))


def _fitted(
    name: str, values: pd.Series, notations: Mapping[str, Mapping[str, Any]]
) -> NumericColumn | CategoryColumn:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return CategoryColumn(name, [str(each) for each in values.cat.categories])
    numbers = values.to_numpy(dtype=np.float64)
    notation = dict(notations[name]) if name in notations else None
    mean, deviation = float(np.nanmean(numbers)), float(np.nanstd(numbers))
    return NumericColumn(name, mean, deviation or 1.0, notation=notation)
