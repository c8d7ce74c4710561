"""Trained networks: they predict, and are logged as an exported graph, which needs no class of ours to load."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import mlflow.pytorch
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.export._trace  # torch imports both at the first export; here the fork server does it once
import torch.export.pt2_archive
from torch import nn
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

from trainyard_pytorch._networks import Answering, summary

AT_ONCE = 512


@dataclass(frozen=True)
class ImageClassifier:
    """A network on raw images, as `trainyard.trainer.Fitted` asks."""

    network: nn.Module
    classes: tuple[Any, ...]

    def predict(self, x: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        return _answers(Answering(self.network, target=None), x)

    def feature_importance(self) -> Mapping[str, float] | None:
        """Pixels have none."""
        return None

    def raw_example(self, x: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return image_example(x)

    def log_model(self, **arguments: Any) -> None:
        """With `mlflow.pytorch`, as an exported graph: raw images in, probabilities of (n, classes) out."""
        mlflow.log_text(summary(self.network), "model_summary.txt")
        ImageModel.log(artifact_path=None, flavor=mlflow.pytorch, **self._stored(arguments))

    def save_model(self, path: Path, **arguments: Any) -> None:
        """Write the same to a folder that does not exist yet, for use without a tracking server."""
        stored = self._stored(arguments)
        mlflow.pytorch.save_model(path=str(path), mlflow_model=ImageModel(), **stored)

    def _stored(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of MLflow's `save_model`."""
        return {
            **arguments,
            **image_model(arguments["input_example"], self.classes),
            "pytorch_model": Answering(self.network, target=None).eval(),
            "pip_requirements": requirements(("torch",)),
            "serialization_format": "pt2",
        }


@dataclass(frozen=True)
class TablePredictor:
    """A network on encoded tables, as `trainyard.trainer.Fitted` asks."""

    network: nn.Module
    encoding: TableEncoding
    classes: tuple[Any, ...] | None
    """None for regression."""

    def predict(self, x: pd.DataFrame) -> npt.NDArray[np.float64]:
        answering = self._answering()
        parts = [
            _answers(answering, self.encoding.encode(rows_of(x, rows))) for rows in slices(len(x))
        ]
        return np.concatenate(parts)

    def feature_importance(self) -> Mapping[str, float] | None:
        """A network does not tell."""
        return None

    def raw_example(self, x: pd.DataFrame) -> pd.DataFrame:
        return table_example(self.encoding, x)

    def log_model(self, **arguments: Any) -> None:
        """With `mlflow.pyfunc`: exported graph, preprocessing.json, and `trainyard.networks.scoring` as the code."""
        mlflow.log_text(summary(self.network), "model_summary.txt")
        self._store(mlflow.pyfunc.log_model, arguments)

    def save_model(self, path: Path, **arguments: Any) -> None:
        """Write the same to a folder that does not exist yet, for use without a tracking server."""
        self._store(mlflow.pyfunc.save_model, {"path": str(path), **arguments})

    def _answering(self) -> Answering:
        return Answering(
            self.network,
            target=None
            if self.classes
            else (self.encoding.target_mean, self.encoding.target_scale),
        )

    def _store(self, store: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder) / "network.pt2"
            example = torch.zeros(2, self.encoding.width)
            torch.export.save(
                torch.export.export(
                    self._answering().eval(),
                    (example,),
                    dynamic_shapes=({0: torch.export.Dim.AUTO},),
                ),
                graph,
            )
            own = table_model(self.encoding, self.classes, graph)
            store(**{**arguments, **own, "pip_requirements": requirements(("torch",))})


def _answers(module: nn.Module, rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """In float32, as the logged model computes them."""
    module.eval()
    with torch.inference_mode():
        parts = [
            module(torch.from_numpy(np.require(rows[at : at + AT_ONCE], requirements=["C", "W"])))
            for at in range(0, len(rows), AT_ONCE)
        ]
        found: npt.NDArray[np.float64] = torch.cat(parts).numpy().astype(np.float64)
    return found
