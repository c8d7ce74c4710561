"""Trained networks: they predict, and are logged as an exported graph, which needs no class of ours to load."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
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
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType
from torch import nn
from trainyard.networks.tables import CategoryColumn, TableEncoding

from trainyard_pytorch._networks import Answering, summary

SCORING = Path(__file__).with_name("_scoring.py")
AT_ONCE = 512
EXAMPLE_ROWS = 5


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
        """Bytes of (n, height, width, channels), or of (n, height, width) for grey; two images at least, so that n stays open."""
        some = np.resize(x, (2, *x.shape[1:])) if len(x) == 1 else x[:EXAMPLE_ROWS]
        return np.ascontiguousarray(some[..., 0] if x.shape[-1] == 1 else some)

    def log_model(self, **arguments: Any) -> None:
        """With `mlflow.pytorch`, as an exported graph: raw images in, probabilities of (n, classes) out."""
        mlflow.log_text(summary(self.network), "model_summary.txt")
        self._store(mlflow.pytorch.log_model, arguments)

    def save_model(self, path: Path, **arguments: Any) -> None:
        """Write the same to a folder that does not exist yet, for use without a tracking server."""
        self._store(mlflow.pytorch.save_model, {"path": str(path), **arguments})

    def _store(self, store: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        example = arguments["input_example"]
        own = {
            "signature": ModelSignature(
                inputs=Schema([TensorSpec(example.dtype, (-1, *example.shape[1:]))]),
                outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(self.classes)))]),
            ),
            "metadata": {"classes": [_plain(label) for label in self.classes]},
            "pip_requirements": requirements(),
            "serialization_format": "pt2",
        }
        store(Answering(self.network, target=None).eval(), **{**arguments, **own})


@dataclass(frozen=True)
class TablePredictor:
    """A network on encoded tables, as `trainyard.trainer.Fitted` asks."""

    network: nn.Module
    encoding: TableEncoding
    classes: tuple[Any, ...] | None
    """None for regression."""

    def predict(self, x: pd.DataFrame) -> npt.NDArray[np.float64]:
        return _answers(self._answering(), self.encoding.encode(x))

    def feature_importance(self) -> Mapping[str, float] | None:
        """A network does not tell."""
        return None

    def raw_example(self, x: pd.DataFrame) -> pd.DataFrame:
        """The first rows as callers send them: strings and doubles."""
        rows = x.head(EXAMPLE_ROWS).reset_index(drop=True)
        return pd.DataFrame({
            column.name: rows[column.name].astype(object).where(rows[column.name].notna(), None) if isinstance(column, CategoryColumn)
            else rows[column.name].astype("float64")
            for column in self.encoding.columns
        })

    def log_model(self, **arguments: Any) -> None:
        """With `mlflow.pyfunc`: exported graph, preprocessing.json, and `_scoring.py` as the code."""
        mlflow.log_text(summary(self.network), "model_summary.txt")
        self._store(mlflow.pyfunc.log_model, arguments)

    def save_model(self, path: Path, **arguments: Any) -> None:
        """Write the same to a folder that does not exist yet, for use without a tracking server."""
        self._store(mlflow.pyfunc.save_model, {"path": str(path), **arguments})

    def _answering(self) -> Answering:
        return Answering(self.network, target=None if self.classes else (self.encoding.target_mean, self.encoding.target_scale))

    def _store(self, store: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        classes = None if self.classes is None else [_plain(label) for label in self.classes]
        inputs: list[Any] = [ColSpec(AnyType(), column.name, required=False) for column in self.encoding.columns]
        with tempfile.TemporaryDirectory() as folder:
            graph, preprocessing = Path(folder) / "network.pt2", Path(folder) / "preprocessing.json"
            example = torch.zeros(2, self.encoding.width)
            torch.export.save(torch.export.export(self._answering().eval(), (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},)), graph)
            self.encoding.write(preprocessing, classes=classes)
            own = {
                "python_model": str(SCORING),
                "artifacts": {"network": str(graph), "preprocessing": str(preprocessing)},
                "signature": ModelSignature(
                    inputs=Schema(inputs), outputs=Schema([ColSpec(_output_type(classes))]),
                    params=ParamSchema([ParamSpec("method", DataType.string, "predict")]),
                ),
                "pip_requirements": requirements(),
            }
            store(**{**arguments, **own})


def requirements() -> list[str]:
    """What a logged model needs, pinned at the versions installed here, whatever build of torch it is."""
    found = []
    for names in (("mlflow", "mlflow-skinny"), ("numpy",), ("pandas",), ("torch",)):
        for name in names:
            try:
                found.append(f"{name}=={version(name).partition('+')[0]}")
            except PackageNotFoundError:
                continue
            break
    return found


def _answers(module: nn.Module, rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """In float32, as the logged model computes them."""
    module.eval()
    with torch.inference_mode():
        parts = [module(torch.from_numpy(np.require(rows[at : at + AT_ONCE], requirements=["C", "W"]))) for at in range(0, len(rows), AT_ONCE)]
        found: npt.NDArray[np.float64] = torch.cat(parts).numpy().astype(np.float64)
    return found


def _output_type(classes: list[Any] | None) -> DataType:
    if classes is None:
        return DataType.double
    if all(isinstance(label, bool) for label in classes):
        return DataType.boolean
    return DataType.long if all(isinstance(label, int) for label in classes) else DataType.string


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
