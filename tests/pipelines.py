"""The six pipelines that ship, and data for them that is soon trained on."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

DIGITS = {"source": "images", "uri": "digits.npz"}
MLP = {"data": DIGITS, "epochs": 20, "batch_size": 32, "minimum": 0.8}
CNN = {"data": DIGITS, "epochs": 8, "batch_size": 32, "conv_channels": [8, 16], "minimum": 0.8}
PIPELINES: dict[str, tuple[str, dict[str, Any]]] = {
    "xgboost_classification_pipeline": ("xgboost-classification", {"n_estimators": 30}),
    "lightgbm_classification_pipeline": ("lightgbm-classification", {"n_estimators": 30}),
    "tensorflow_mnist_mlp_pipeline": ("mnist-mlp-tensorflow", MLP),
    "tensorflow_mnist_cnn_pipeline": ("mnist-cnn-tensorflow", CNN),
    "pytorch_mnist_mlp_pipeline": ("mnist-mlp-pytorch", MLP),
    "pytorch_mnist_cnn_pipeline": ("mnist-cnn-pytorch", CNN),
}
"""Each by its DAG id: the registered model, and a conf for which there is data in `digits.npz`."""


def write_digits(folder: Path) -> None:
    """Keep scikit-learn's digits as images of 8 x 8 bytes in `digits.npz`."""
    digits = load_digits()
    x, y = (digits.images * 15).astype(np.uint8), digits.target
    np.savez(
        folder / "digits.npz", x_train=x[:1400], y_train=y[:1400], x_test=x[1400:], y_test=y[1400:]
    )
