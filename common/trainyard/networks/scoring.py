"""The code of a logged table model. It is copied into the model and runs without Trainyard.

Raw rows in, labels or values out; `params={"method": "predict_proba"}` gives a column a class.
Categories never seen in training count as missing. A column that is not there is refused, unless training rows
lacked its value too. How raw columns are read is in `raw_columns.py`, an artifact of the model.
"""

import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd


class Scoring(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc,unused-ignore] # not exported by name
    """Predicts from raw columns with a network that torch exported or Keras saved."""

    columns: ModuleType
    network: Any
    about: dict[str, Any]

    def load_context(self, context: Any) -> None:
        """Read `raw_columns.py`, `preprocessing.json` and the network."""
        self.columns = _module(context.artifacts["raw_columns"])
        self.columns.take_csv()
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
        rows = self.columns.check_columns(model_input, self.about["columns"])
        if len(rows):
            answers = self.network(self._encode(rows)).astype(np.float64)
        else:
            answers = np.empty((0, len(classes or [0])))
        if classes is None:
            return answers.reshape(-1)
        if method == "predict_proba":
            return pd.DataFrame(
                answers, columns=[str(label) for label in classes], index=rows.index
            )
        labels = np.array(classes, dtype=object if isinstance(classes[0], str) else None)
        return labels[answers.argmax(axis=1)]

    def _encode(self, rows: pd.DataFrame) -> Any:
        parts = [
            self._encoded(self.columns.column_of(rows, column["name"]), column)
            for column in self.about["columns"]
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def _encoded(self, values: pd.Series, column: dict[str, Any]) -> Any:
        """(n, width) of one column."""
        if column["kind"] == "category":
            return self._one_hot(values, column["categories"])
        if column["kind"] == "date":
            times = self.columns.dates(values, column)
            numbers = self.columns.date_features(times, column["date"])
            numbers[:, 0] = (numbers[:, 0] - column["mean"]) / column["scale"]
            return np.nan_to_num(numbers)
        numbers = self.columns.numbers(values, column)
        return np.nan_to_num((numbers - column["mean"]) / column["scale"])[:, np.newaxis]

    def _one_hot(self, values: pd.Series, categories: list[Any]) -> Any:
        codes = self.columns.codes(values, categories)
        hot = np.zeros((len(values), len(categories)))
        rows = np.flatnonzero(codes >= 0)
        hot[rows, codes[rows]] = 1.0
        return hot


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


def _module(path: str) -> ModuleType:
    """The file as a module of this model alone: another model in this process may have another version of it."""
    spec = importlib.util.spec_from_file_location("raw_columns_of_a_model", path)
    if spec is None or spec.loader is None:
        message = f"{path} cannot be imported"
        raise ImportError(message)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mlflow.models.set_model(Scoring())
