"""From a table to what both libraries train on, and what the logged model needs to do the same again."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType
from trainyard.contract import Task
from trainyard.raw_columns import date_features, feature_names, written
from trainyard.trainer import Data

# XGBoost refuses [, ] and <; LightGBM refuses what JSON quotes, rewrites white space, ends a name at a zero byte,
# and reads neither an empty first name nor = from its own model file.
UNSAFE = re.compile(r"[\[\]<>{}\":,=\s\x00-\x1f\x7f]")
Kind = str
"""How the logged model reads a column: `number`, `boolean`, `string`, `number_category` or `date`."""


@dataclass(frozen=True)
class Column:
    """A raw column, its name inside the booster, and for a category its values in the order of codes."""

    name: str
    safe_name: str
    kind: Kind
    categories: tuple[Any, ...] | None = None
    notation: Mapping[str, Any] | None = None
    """How its numbers are written where the table has them as text, as `Data.notations` says."""
    date: Mapping[str, Any] | None = None
    """Of dates, how they are written and what is made of them, as `Data.dates` says."""
    optional: bool = False
    """Whether training rows lacked it, so that rows without the column can be answered."""

    @property
    def safe_names(self) -> list[str]:
        """The columns that the booster sees; of a date the elapsed days come first."""
        if self.date is None:
            return [self.safe_name]
        return [f"{self.safe_name}_{each}" for each in feature_names(self.date)]


@dataclass(frozen=True)
class Table:
    """The columns, task and classes of the training data."""

    columns: tuple[Column, ...]
    task: Task
    classes: tuple[Any, ...] | None

    @classmethod
    def of(cls, data: Data) -> "Table":
        """Describe the training part."""
        frame = data.frame
        names = [UNSAFE.sub("_", str(name)) or "_" for name in frame.columns]
        if len(set(names)) < len(names):
            names = [f"{name}_{position}" for position, name in enumerate(names)]
        columns = tuple(
            _column(str(name), safe, frame[name], data)
            for name, safe in zip(frame.columns, names, strict=True)
        )
        return cls(_apart(columns), data.task, data.classes)

    def encode(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with safe names and categories replaced by their codes, 0 to k - 1, still categorical.

        Codes are what both libraries split on, so results are those of the raw categoricals, whatever
        type the categories have. Numeric columns are neither copied nor taken apart: LightGBM reads
        a frame that is one block without a copy.
        """
        names = [column.name for column in self.columns]
        encoded = frame.copy(deep=False) if list(frame.columns) == names else frame[names]
        encoded.columns = pd.Index([column.safe_name for column in self.columns])
        for column in self.columns:
            if column.categories is None:
                continue
            values = encoded[column.safe_name]
            if column.categories:
                codes = values.cat.codes.to_numpy()
                encoded[column.safe_name] = pd.Categorical.from_codes(
                    codes, categories=pd.RangeIndex(len(column.categories))
                )
            else:
                encoded[column.safe_name] = np.nan
        return self._with_dates(encoded)

    def _with_dates(self, encoded: pd.DataFrame) -> pd.DataFrame:
        """The frame with the features of each date in its place."""
        if all(column.date is None for column in self.columns):
            return encoded
        made: dict[str, Any] = {}
        for column in self.columns:
            values = encoded[column.safe_name]
            if column.date is None:
                made[column.safe_name] = values
            else:
                features = date_features(values.to_numpy(), column.date)
                made |= dict(zip(column.safe_names, features.T, strict=True))
        return pd.DataFrame(made, index=encoded.index)

    def write(self, path: Path, *, framework: str) -> None:
        """Write what `_scoring.py` reads: JSON, with classes and categories as their own types."""
        described = {
            "framework": framework,
            "task": self.task.value,
            "classes": None if self.classes is None else [_plain(label) for label in self.classes],
            "columns": [
                {
                    "name": column.name,
                    "safe_names": column.safe_names,
                    "kind": column.kind,
                    "optional": column.optional,
                    "categories": None if column.categories is None else list(column.categories),
                    "notation": None if column.notation is None else dict(column.notation),
                    "date": None if column.date is None else dict(column.date),
                }
                for column in self.columns
            ],
        }
        path.write_text(json.dumps(described, indent=1, allow_nan=False))

    def signature(self) -> ModelSignature:
        """Raw columns by name, of any type; `method` as param. Those that training rows lacked are optional.

        MLflow 3.17 refuses int64 where a double is declared, and a pandas categorical or a column of
        nothing but missing values where a string is. `_scoring.py` reads all of these, so the types
        are left to it; `preprocessing.json` holds them.
        """
        inputs: list[Any] = [
            ColSpec(AnyType(), column.name, required=not column.optional) for column in self.columns
        ]
        return ModelSignature(
            inputs=Schema(inputs),
            outputs=Schema([ColSpec(self._output_type())]),
            params=ParamSchema([ParamSpec("method", DataType.string, "predict")]),
        )

    def raw_example(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The first five rows, as callers send them: plain strings (dates too), doubles and booleans."""
        rows = frame.head(5)
        plain = {}
        for column in self.columns:
            values = rows[column.name].astype(object)
            if column.date is not None:
                values = written(rows[column.name], column.date)
            elif column.kind == "string":
                values = values.where(values.notna(), None).map(
                    lambda value: None if value is None else str(value)
                )
            elif column.kind == "boolean":
                values = values.astype(bool)
            else:
                values = values.astype("float64")
            plain[column.name] = values
        return pd.DataFrame(plain).reset_index(drop=True)

    def probabilities(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """A booster's output as float64: (n, classes) for classification, (n,) for regression."""
        values = raw.astype(np.float64)
        if self.task is Task.CLASSIFICATION and values.ndim == 1:
            return np.column_stack([1.0 - values, values])
        return values

    def _output_type(self) -> DataType:
        if self.classes is None:
            return DataType.double
        if all(isinstance(_plain(label), bool) for label in self.classes):
            return DataType.boolean
        return (
            DataType.long
            if all(isinstance(_plain(label), int) for label in self.classes)
            else DataType.string
        )


def _column(name: str, safe_name: str, values: pd.Series, data: Data) -> Column:
    optional = bool(values.isna().any())
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories = tuple(_plain(value) for value in values.cat.categories)
        numeric = bool(categories) and all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in categories
        )
        kind = "number_category" if numeric else "string"
        return Column(name, safe_name, kind, categories, optional=optional)
    if name in data.dates:
        return Column(name, safe_name, "date", date=data.dates[name], optional=optional)
    kind = "boolean" if values.dtype == bool else "number"
    notation = data.notations.get(name)
    return Column(name, safe_name, kind, notation=notation, optional=optional)


def _apart(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns, numbered where what is made of a date is called as another column is."""
    names = [name for column in columns for name in column.safe_names]
    if len(set(names)) == len(names):
        return columns
    return tuple(
        replace(column, safe_name=f"{column.safe_name}_{position}")
        for position, column in enumerate(columns)
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
