"""The code of a logged table model. It is copied into the model and runs without Trainyard.

Raw rows in, labels or values out; `params={"method": "predict_proba"}` gives a column a class.
Categories never seen in training count as missing, and so does a column that is not there.
"""

import importlib
import json
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd


class Scoring(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc,unused-ignore] # not exported by name
    """Predicts from raw columns with a network that torch exported or Keras saved."""

    network: Any
    about: dict[str, Any]

    def load_context(self, context: Any) -> None:
        """Read `preprocessing.json` and the network."""
        self.about = json.loads(Path(context.artifacts["preprocessing"]).read_text())
        path = context.artifacts["network"]
        self.network = _by_keras(path) if path.endswith(".keras") else _by_torch(path)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Labels or float64 values of (n,); or a frame of (n, classes) for `predict_proba`."""
        del context
        method = (params or {}).get("method", "predict")
        classes = self.about["classes"]
        if method not in {"predict", "predict_proba"} or (method == "predict_proba" and classes is None):
            message = f"method is {method!r}; this model has predict" + (" and predict_proba" if classes else "")
            raise ValueError(message)
        answers = self.network(self._encode(model_input)).astype(np.float64)
        if classes is None:
            return answers.reshape(-1)
        if method == "predict_proba":
            return pd.DataFrame(answers, columns=[str(label) for label in classes], index=model_input.index)
        labels = np.array(classes, dtype=object if isinstance(classes[0], str) else None)
        return labels[answers.argmax(axis=1)]

    def _encode(self, rows: pd.DataFrame) -> Any:
        parts = []
        for column in self.about["columns"]:
            values = rows[column["name"]] if column["name"] in rows.columns else pd.Series(np.nan, index=rows.index)
            parts.append(_one_hot(values, column) if column["kind"] == "category" else _scaled(values, column))
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


def _scaled(values: pd.Series, column: dict[str, Any]) -> Any:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.nan_to_num((numbers - column["mean"]) / column["scale"])[:, np.newaxis]


def _one_hot(values: pd.Series, column: dict[str, Any]) -> Any:
    known = pd.Index(column["categories"])
    values = values.astype(object)
    codes = known.get_indexer(pd.Index(values.map(str)))
    # Whole numbers arrive as 1 or as 1.0, whichever their neighbours allow.
    other = known.get_indexer(pd.Index(values.map(_respelled)))
    codes = np.where(codes >= 0, codes, other)
    hot = np.zeros((len(values), len(known)))
    rows = np.flatnonzero((codes >= 0) & values.notna().to_numpy())
    hot[rows, codes[rows]] = 1.0
    return hot


def _respelled(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(float(value)) if isinstance(value, int) and not isinstance(value, bool) else str(value)


mlflow.models.set_model(Scoring())
