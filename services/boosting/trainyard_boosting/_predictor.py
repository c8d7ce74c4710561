"""A trained booster of either library: predicts, explains, and is logged without a pickle."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd
from trainyard import raw_columns
from trainyard.mapped_rows import rows_of

from trainyard_boosting._batches import rows_at_once, slices
from trainyard_boosting._tables import Table

SCORING = Path(__file__).with_name("_scoring.py")


@dataclass(frozen=True)
class AtHand:
    """Rows that the library holds as its own since the training: they need not be encoded again to be predicted."""

    x: pd.DataFrame
    predict: Callable[[], npt.NDArray[Any]]


@dataclass(frozen=True)
class BoostedTrees:
    """What `trainyard.trainer.Fitted` asks for."""

    table: Table
    library: Literal["xgboost", "lightgbm"]
    predict_encoded: Callable[[pd.DataFrame], npt.NDArray[Any]]
    save: Callable[[str], Any]
    """Writes the booster in the library's own format: .ubj or .txt."""
    importance: Mapping[str, float]
    """Total gain by the booster's own column names; columns never split on may be absent."""
    requirements: tuple[str, ...]
    """Pinned distributions that the logged model needs."""
    at_hand: "AtHand | None" = None

    def predict(self, x: pd.DataFrame) -> npt.NDArray[np.float64]:
        if self.at_hand and self.at_hand.x is x:
            return self.table.probabilities(np.asarray(self.at_hand.predict()))
        parts = [
            np.asarray(self.predict_encoded(self.table.encode(rows_of(x, rows))))
            for rows in slices(max(len(x), 1), rows_at_once(x.shape[1]))
        ]
        return self.table.probabilities(np.concatenate(parts))

    def feature_importance(self) -> Mapping[str, float]:
        return {
            column.name: sum(float(self.importance.get(each, 0.0)) for each in column.safe_names)
            for column in self.table.columns
        }

    def raw_example(self, x: pd.DataFrame) -> pd.DataFrame:
        return self.table.raw_example(x)

    def log_model(self, **arguments: Any) -> None:
        """Log with `mlflow.pyfunc`: native booster, preprocessing.json, raw_columns.py, and `_scoring.py` as the code.

        Signature and requirements are the model's own, whatever `arguments` hold.
        """
        self._store(mlflow.pyfunc.log_model, arguments)

    def save_model(self, path: Path, **arguments: Any) -> None:
        """Write the same to a folder that does not exist yet, for use without a tracking server."""
        self._store(mlflow.pyfunc.save_model, {"path": str(path), **arguments})

    def _store(self, store: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            booster = Path(folder) / ("model.ubj" if self.library == "xgboost" else "model.txt")
            preprocessing = Path(folder) / "preprocessing.json"
            self.save(str(booster))
            self.table.write(preprocessing, framework=self.library)
            own = {
                "python_model": str(SCORING),
                "artifacts": {
                    "booster": str(booster),
                    "preprocessing": str(preprocessing),
                    "raw_columns": raw_columns.__file__,
                },
                "signature": self.table.signature(),
                "pip_requirements": list(self.requirements),
            }
            store(**{**arguments, **own})


def installed(*distributions: str) -> str:
    """The first of these distributions that is installed. Raises `PackageNotFoundError` for none."""
    for name in distributions:
        try:
            version(name)
        except PackageNotFoundError:
            continue
        return name
    raise PackageNotFoundError(", ".join(distributions))


def pinned(framework: str) -> tuple[str, ...]:
    """The requirements of a model of this framework, at the versions installed here."""
    names = (installed("mlflow", "mlflow-skinny"), "numpy", "pandas", framework)
    return tuple(f"{name}=={version(name)}" for name in names)
