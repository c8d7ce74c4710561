"""The code of a logged model. It is copied into the model and runs without Trainyard.

Raw rows in, labels or values out; `params={"method": "predict_proba"}` gives a column a class.
Categories never seen in training count as missing, and so does a column that is not there.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd


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
            self.score = lambda frame: booster.predict(xgboost.DMatrix(frame, enable_categorical=True))
        else:
            import lightgbm

            model = lightgbm.Booster(model_file=path)
            self.score = model.predict

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Labels or float64 values of (n,); or a frame of (n, classes) for `predict_proba`."""
        del context
        method = (params or {}).get("method", "predict")
        classes = self.about["classes"]
        if method not in {"predict", "predict_proba"} or (method == "predict_proba" and classes is None):
            message = f"method is {method!r}; a {self.about['task']} model has predict" + (" and predict_proba" if classes else "")
            raise ValueError(message)
        scores = np.asarray(self.score(self._encode(model_input)), dtype=np.float64)
        if classes is None:
            return scores
        if scores.ndim == 1:
            scores = np.column_stack([1.0 - scores, scores])
        if method == "predict_proba":
            return pd.DataFrame(scores, columns=[str(label) for label in classes], index=model_input.index)
        labels = np.array(classes, dtype=object if isinstance(classes[0], str) else None)
        return labels[scores.argmax(axis=1)]

    def _encode(self, rows: pd.DataFrame) -> pd.DataFrame:
        encoded: dict[str, Any] = {}
        for column in self.about["columns"]:
            name = column["name"]
            values = rows[name] if name in rows.columns else pd.Series(np.nan, index=rows.index)
            encoded[column["safe_name"]] = _category(values, column) if column["categories"] else _number(values)
        return pd.DataFrame(encoded, index=rows.index)


def _number(values: pd.Series) -> Any:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _category(values: pd.Series, column: dict[str, Any]) -> Any:
    categories = column["categories"]
    if column["kind"] == "number_category":
        keys = _number(values)
        known: dict[Any, int] = {float(value): code for code, value in enumerate(categories)}
    else:
        keys = values.astype(object).map(lambda value: None if pd.isna(value) else str(value))
        known = {str(value): code for code, value in enumerate(categories)}
    codes = keys.map(known).astype("float64").fillna(-1).astype("int32")
    return pd.Categorical.from_codes(codes.to_numpy(), categories=pd.RangeIndex(len(categories)))


mlflow.models.set_model(Scoring())
