"""The code of a logged table model. It is copied into the model and runs without Trainyard.

Raw rows in, labels or values out; `params={"method": "predict_proba"}` gives a column a class.
Categories never seen in training count as missing, and so does a column that is not there.
"""

import importlib
import json
import math
import re
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
    """Predicts from raw columns with a network that torch exported or Keras saved."""

    network: Any
    about: dict[str, Any]

    def load_context(self, context: Any) -> None:
        """Read `preprocessing.json` and the network."""
        self.about = json.loads(Path(context.artifacts["preprocessing"]).read_text())
        path = context.artifacts["network"]
        self.network = _by_keras(path) if path.endswith(".keras") else _by_torch(path)

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
            message = f"method is {method!r}; this model has predict" + (
                " and predict_proba" if classes else ""
            )
            raise ValueError(message)
        encoded = self._encode(model_input)
        if len(encoded):
            answers = self.network(encoded).astype(np.float64)
        else:
            answers = np.empty((0, len(classes or [0])))
        if classes is None:
            return answers.reshape(-1)
        if method == "predict_proba":
            return pd.DataFrame(
                answers, columns=[str(label) for label in classes], index=model_input.index
            )
        labels = np.array(classes, dtype=object if isinstance(classes[0], str) else None)
        return labels[answers.argmax(axis=1)]

    def _encode(self, rows: pd.DataFrame) -> Any:
        _check_columns(rows, self.about["columns"])
        parts = []
        for column in self.about["columns"]:
            values = (
                rows[column["name"]]
                if column["name"] in rows.columns
                else pd.Series(np.nan, index=rows.index)
            )
            parts.append(
                _one_hot(values, column["categories"])
                if column["kind"] == "category"
                else _scaled(values, column)
            )
        return np.concatenate(parts, axis=1, dtype=np.float32)


def _by_torch(path: str) -> Any:
    torch = importlib.import_module("torch")
    network = torch.export.load(path).module()

    def answers(encoded: Any) -> Any:
        with torch.inference_mode():
            return network(torch.from_numpy(encoded)).numpy()

    return answers


def _by_keras(path: str) -> Any:
    network = importlib.import_module("keras").saving.load_model(path, compile=False)
    return lambda encoded: network.predict(encoded, verbose=0)


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


def _scaled(values: pd.Series, column: dict[str, Any]) -> Any:
    numbers = _read(values, column).to_numpy()
    return np.nan_to_num((numbers - column["mean"]) / column["scale"])[:, np.newaxis]


def _one_hot(values: pd.Series, categories: list[Any]) -> Any:
    codes = _codes(values.astype(object), categories)
    hot = np.zeros((len(values), len(categories)))
    rows = np.flatnonzero(codes >= 0)
    hot[rows, codes[rows]] = 1.0
    return hot


mlflow.models.set_model(Scoring())
