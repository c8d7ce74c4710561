"""Trained networks: they predict, and are logged as Keras models of Keras's own layers, which need no class of ours to load."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import mlflow.pyfunc
import mlflow.tensorflow
import numpy as np
import numpy.typing as npt
import pandas as pd
from trainyard.mapped_rows import rows_of
from trainyard.networks.logged import (
    ImageModel,
    image_example,
    image_model,
    requirements,
    table_example,
    table_model,
)
from trainyard.networks.tables import TableEncoding, slices

from trainyard_tensorflow._networks import answering

AT_ONCE = 1024
REQUIRED = (("keras",), ("tensorflow", "tensorflow-cpu"))


@dataclass(frozen=True)
class ImageClassifier:
    """A network on raw images, as `trainyard.trainer.Fitted` asks."""

    network: keras.Sequential
    classes: tuple[Any, ...]

    def predict(self, x: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        return _answers(self._answering, x)

    @cached_property
    def _answering(self) -> keras.Sequential:
        return answering(self.network, target=None)

    def feature_importance(self) -> Mapping[str, float] | None:
        """Pixels have none."""
        return None

    def raw_example(self, x: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return image_example(x)

    def log_model(self, **arguments: Any) -> None:
        """With `mlflow.tensorflow`, as a Keras model: raw images in, probabilities of (n, classes) out."""
        ImageModel.log(artifact_path=None, flavor=mlflow.tensorflow, **self._stored(arguments))

    def save_model(self, path: Path, **arguments: Any) -> None:
        """Write the same to a folder that does not exist yet, for use without a tracking server."""
        stored = self._stored(arguments)
        mlflow.tensorflow.save_model(path=str(path), mlflow_model=ImageModel(), **stored)

    def _stored(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of MLflow's `save_model`."""
        grey = arguments["input_example"].ndim == 3
        return {
            **arguments,
            **image_model(arguments["input_example"], self.classes),
            "model": answering(self.network, grey=grey, target=None),
            "pip_requirements": requirements(*REQUIRED),
        }


@dataclass(frozen=True)
class TablePredictor:
    """A network on encoded tables, as `trainyard.trainer.Fitted` asks."""

    network: keras.Sequential
    encoding: TableEncoding
    classes: tuple[Any, ...] | None
    """None for regression."""

    def predict(self, x: pd.DataFrame) -> npt.NDArray[np.float64]:
        parts = [
            _answers(self._answering, self.encoding.encode(rows_of(x, rows)))
            for rows in slices(len(x))
        ]
        found = np.concatenate(parts)
        return found if self.classes else found[:, 0]

    def feature_importance(self) -> Mapping[str, float] | None:
        """A network does not tell."""
        return None

    def raw_example(self, x: pd.DataFrame) -> pd.DataFrame:
        return table_example(self.encoding, x)

    def log_model(self, **arguments: Any) -> None:
        """With `mlflow.pyfunc`: Keras model, preprocessing.json, and `trainyard.networks.scoring` as the code."""
        self._store(mlflow.pyfunc.log_model, arguments)

    def save_model(self, path: Path, **arguments: Any) -> None:
        """Write the same to a folder that does not exist yet, for use without a tracking server."""
        self._store(mlflow.pyfunc.save_model, {"path": str(path), **arguments})

    @cached_property
    def _answering(self) -> keras.Sequential:
        return answering(
            self.network,
            target=None
            if self.classes
            else (self.encoding.target_mean, self.encoding.target_scale),
        )

    def _store(self, store: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.keras"
            self._answering.save(path)
            own = table_model(self.encoding, self.classes, path)
            store(**{**arguments, **own, "pip_requirements": requirements(*REQUIRED)})


def _answers(model: keras.Sequential, rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """In float32, as the logged model computes them."""
    found: npt.NDArray[np.float64] = model.predict(rows, batch_size=AT_ONCE, verbose=0).astype(
        np.float64
    )
    return found
