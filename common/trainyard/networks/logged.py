"""What the logged networks of both frameworks have in common: their examples, signatures and requirements."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow import pyfunc
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from trainyard import raw_columns
from trainyard.networks.tables import AnyColumn, CategoryColumn, DateColumn, TableEncoding

SCORING = Path(__file__).with_name("scoring.py")
IMAGE_SCORING = Path(__file__).with_name("image_scoring.py")
ANY_TENSOR = TensorSpec(np.dtype(object), (-1,))
"""MLflow lets tensors of any type and shape through this one alone; by another it would read 0.5 as the byte 0."""
EXAMPLE_ROWS = 5


def image_example(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Bytes of (n, height, width, channels), or of (n, height, width) for grey; two images at least, so that n stays open."""
    some = np.resize(images, (2, *images.shape[1:])) if len(images) == 1 else images[:EXAMPLE_ROWS]
    return np.ascontiguousarray(some[..., 0] if images.shape[-1] == 1 else some)


class ImageModel(Model):
    """An MLflow model that is loaded by its own flavour as ever, and as a pyfunc by `image_scoring.py`, in it as code."""

    def add_flavor(self, name: str, **params: Any) -> Model:
        """Called by the flavour's `save_model`."""
        if name == pyfunc.FLAVOR_NAME:
            params[pyfunc.MAIN] = IMAGE_SCORING.stem
        return super().add_flavor(name, **params)


def image_model(example: npt.NDArray[np.uint8], classes: Sequence[Any]) -> dict[str, Any]:
    """Arguments of a flavour's `save_model`: images in, float32 probabilities of (n, classes) out.

    `image_shape` in the metadata is what the network takes.
    """
    return {
        "signature": ModelSignature(
            inputs=Schema([ANY_TENSOR]),
            outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(classes)))]),
        ),
        "metadata": {
            "classes": [_plain(label) for label in classes],
            "image_shape": list(example.shape[1:]),
        },
        "code_paths": [str(IMAGE_SCORING)],
    }


def table_example(encoding: TableEncoding, rows: pd.DataFrame) -> pd.DataFrame:
    """The first rows as callers send them: strings, of dates too, and doubles."""
    rows = rows.head(EXAMPLE_ROWS).reset_index(drop=True)
    return pd.DataFrame(
        {column.name: _as_sent(rows[column.name], column) for column in encoding.columns}
    )


def table_model(
    encoding: TableEncoding, classes: Sequence[Any] | None, network: Path
) -> dict[str, Any]:
    """Arguments of `mlflow.pyfunc.log_model` for a network in a file: raw columns in, labels or values out.

    Writes `preprocessing.json` beside the network; both become artifacts of the model, with `raw_columns.py`, and
    `scoring.py` becomes its code.
    """
    labels = None if classes is None else [_plain(label) for label in classes]
    preprocessing = network.with_name("preprocessing.json")
    encoding.write(preprocessing, classes=labels)
    inputs: list[Any] = [
        ColSpec(AnyType(), column.name, required=not column.optional) for column in encoding.columns
    ]
    return {
        "python_model": str(SCORING),
        "artifacts": {
            "network": str(network),
            "preprocessing": str(preprocessing),
            "raw_columns": raw_columns.__file__,
        },
        "signature": ModelSignature(
            inputs=Schema(inputs),
            outputs=Schema([ColSpec(_output_type(labels))]),
            params=ParamSchema([ParamSpec("method", DataType.string, "predict")]),
        ),
    }


def requirements(*framework: tuple[str, ...]) -> list[str]:
    """What a logged model needs, pinned at the versions installed here: of each library the first of its names that is.

    Which build it is stays out of it.
    """
    found = []
    for names in (("mlflow", "mlflow-skinny"), ("numpy",), ("pandas",), *framework):
        for name in names:
            try:
                found.append(f"{name}=={version(name).partition('+')[0]}")
            except PackageNotFoundError:
                continue
            break
    return found


def _as_sent(values: pd.Series, column: AnyColumn) -> pd.Series:
    if isinstance(column, DateColumn):
        return raw_columns.written(values, column.date)
    if isinstance(column, CategoryColumn):
        return values.astype(object).where(values.notna(), None)
    return values.astype("float64")


def _output_type(classes: list[Any] | None) -> DataType:
    if classes is None:
        return DataType.double
    if all(isinstance(label, bool) for label in classes):
        return DataType.boolean
    return DataType.long if all(isinstance(label, int) for label in classes) else DataType.string


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
