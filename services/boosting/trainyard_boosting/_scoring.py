"""The code of a logged model. It is copied into the model and runs without Trainyard.

Raw rows in, labels or values out; `params={"method": "predict_proba"}` gives a column a class.
Categories never seen in training count as missing. A column that is not there is refused, unless training rows
lacked its value too. How raw columns are read is in `raw_columns.py`, an artifact of the model.
"""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd


class Scoring(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc,unused-ignore] # not exported by name
    """Predicts from raw columns with a booster in its library's own format."""

    columns: ModuleType
    score: Callable[..., Any]
    about: dict[str, Any]

    def load_context(self, context: Any) -> None:
        """Read `raw_columns.py`, `preprocessing.json` and the booster."""
        self.columns = _module(context.artifacts["raw_columns"])
        self.columns.take_csv()
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
        rows = self.columns.check_columns(model_input, self.about["columns"])
        if rows.empty:
            scores = np.empty((0, len(classes)) if classes else 0)
        else:
            scores = np.asarray(self.score(self._encode(rows)), dtype=np.float64)
        if classes is None:
            return scores
        if scores.ndim == 1:
            scores = np.column_stack([1.0 - scores, scores])
        if method == "predict_proba":
            return pd.DataFrame(scores, columns=[str(label) for label in classes], index=rows.index)
        labels = np.array(classes, dtype=object if isinstance(classes[0], str) else None)
        return labels[scores.argmax(axis=1)]

    def _encode(self, rows: pd.DataFrame) -> pd.DataFrame:
        encoded: dict[str, Any] = {}
        for column in self.about["columns"]:
            values = self.columns.column_of(rows, column["name"])
            if column["kind"] == "date":
                times = self.columns.dates(values, column)
                features = self.columns.date_features(times, column["date"])
                encoded |= dict(zip(column["safe_names"], features.T, strict=True))
            elif column["categories"]:
                codes = self.columns.codes(values, column["categories"])
                encoded[column["safe_names"][0]] = pd.Categorical.from_codes(
                    codes, categories=pd.RangeIndex(len(column["categories"]))
                )
            elif column["categories"] is not None:
                encoded[column["safe_names"][0]] = np.full(len(rows), np.nan)
            else:
                encoded[column["safe_names"][0]] = self.columns.numbers(values, column)
        return pd.DataFrame(encoded, index=rows.index)


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
