"""The code of a logged model. It is copied into the model and runs without Trainyard.

Raw rows in, labels or values out; `params={"method": "predict_proba"}` gives a column a class.
Categories never seen in training count as missing, and so does a column that is not there.
"""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd

MISSING = {"", "?", "-", "na", "n/a", "nan", "<na>", "null", "none"}
"""Text that stands for a missing number, in lower case; beside it what training found to."""
TRUTH = {"true": 1.0, "false": 0.0}
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
"""As programs write them, so that codes such as 007 are none."""


class Scoring(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc,unused-ignore] # not exported by name
    """Predicts from raw columns with a booster in its library's own format."""

    score: Callable[..., Any]
    about: dict[str, Any]

    def load_context(self, context: Any) -> None:
        """Read `preprocessing.json` and the booster."""
        self.about = json.loads(Path(context.artifacts["preprocessing"]).read_text())
        path = context.artifacts["booster"]
        if self.about["framework"] == "xgboost":
            import xgboost

            booster = xgboost.Booster(model_file=path)
            self.score = lambda frame: booster.predict(
                xgboost.DMatrix(frame, enable_categorical=True)
            )
        else:
            import lightgbm

            model = lightgbm.Booster(model_file=path)
            self.score = model.predict

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> Any:
        """Labels or float64 values of (n,); or a frame of (n, classes) for `predict_proba`."""
        del context
        method = (params or {}).get("method", "predict")
        classes = self.about["classes"]
        if method not in {"predict", "predict_proba"} or (
            method == "predict_proba" and classes is None
        ):
            message = f"method is {method!r}; a {self.about['task']} model has predict" + (
                " and predict_proba" if classes else ""
            )
            raise ValueError(message)
        encoded = self._encode(model_input)
        if encoded.empty:
            scores = np.empty((0, len(classes)) if classes else 0)
        else:
            scores = np.asarray(self.score(encoded), dtype=np.float64)
        if classes is None:
            return scores
        if scores.ndim == 1:
            scores = np.column_stack([1.0 - scores, scores])
        if method == "predict_proba":
            return pd.DataFrame(
                scores, columns=[str(label) for label in classes], index=model_input.index
            )
        labels = np.array(classes, dtype=object if isinstance(classes[0], str) else None)
        return labels[scores.argmax(axis=1)]

    def _encode(self, rows: pd.DataFrame) -> pd.DataFrame:
        _check_columns(rows, self.about["columns"])
        encoded: dict[str, Any] = {}
        for column in self.about["columns"]:
            name = column["name"]
            values = rows[name] if name in rows.columns else pd.Series(np.nan, index=rows.index)
            encoded[column["safe_name"]] = (
                _category(values, column["categories"])
                if column["categories"]
                else _read(values, column)
            )
        return pd.DataFrame(encoded, index=rows.index)


def _check_columns(rows: pd.DataFrame, columns: list[dict[str, Any]]) -> None:
    """Raise ValueError for rows with none of the columns; MLflow has taken out those that the model does not know."""
    names = [column["name"] for column in columns]
    if not set(names) & set(rows.columns):
        shown = ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
        message = f"the rows have none of the model's columns; give a frame with columns of these names: {shown}"
        raise ValueError(message)


def _read(values: pd.Series, column: dict[str, Any]) -> pd.Series:
    """Numbers, NaN where missing; text as training read it. Raises ValueError for text where a number is due."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if not pd.api.types.is_numeric_dtype(values.dtype):
        values = values.astype(object).map(
            lambda value: _parsed(value, column) if isinstance(value, str) else value
        )
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _parsed(text: str, column: dict[str, Any]) -> float:
    """The number that is written; NaN for what stands for a missing one."""
    notation, bare = column.get("notation"), text.strip()
    if bare.casefold() in MISSING or (notation and bare in notation["missing"]):
        return math.nan
    if bare.casefold() in TRUTH:
        return TRUTH[bare.casefold()]
    try:
        if notation is None:
            return float(bare)
        if re.fullmatch(notation["pattern"], bare, re.ASCII):
            return float(re.sub(notation["ignored"], "", bare).replace(notation["decimal"], "."))
    except ValueError:
        pass
    message = f"the column {column['name']!r} is {text!r}, where a number is due"
    if notation:
        message += f" with the decimal mark {notation['decimal']!r}"
    raise ValueError(message)


def _codes(values: pd.Series, categories: list[Any]) -> npt.NDArray[Any]:
    """The position of each value among the categories, -1 where it is none of them.

    What is not there as it is written may be there as a number: 3, 3.0, "3" and "3.0" are one.
    """
    exact = {str(category): code for code, category in reversed([*enumerate(categories)])}
    alike = {_same(category): code for code, category in reversed([*enumerate(categories)])}

    def code(value: Any) -> int:
        found: int = exact.get(str(value), alike.get(_same(value), -1))
        return found

    known = {value: code(value) for value in values.dropna().unique()}
    return values.map(known).fillna(-1).to_numpy(dtype=np.int32)


def _same(value: Any) -> Any:
    """What is equal for values that are one category: numbers by their value, true and false in any case."""
    text = str(value)
    if NUMBER.fullmatch(text):
        return float(text)
    return text.casefold() if text.casefold() in TRUTH else text


def _category(values: pd.Series, categories: list[Any]) -> "pd.Categorical[int]":
    codes = _codes(values.astype(object), categories)
    return pd.Categorical.from_codes(codes, categories=pd.RangeIndex(len(categories)))


mlflow.models.set_model(Scoring())
