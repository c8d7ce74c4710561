"""Images as files for the tests, and how they are read."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from trainyard.contract import ImageData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.integers(0, 256, (60, 6, 5), dtype=np.uint8), np.arange(60, dtype=np.uint8) % 3
X_TEST, Y_TEST = (
    RANDOM.integers(0, 256, (12, 6, 5), dtype=np.uint8),
    np.arange(12, dtype=np.uint8) % 3,
)
TRAIN = "train-images-idx3-ubyte.gz"


def idx(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def write_idx(folder: Path, x=X, y=Y, x_test=X_TEST, y_test=Y_TEST, *, packed=True) -> Path:  # noqa: PLR0913 - four files and how they are packed
    folder.mkdir(exist_ok=True)
    arrays = {
        "train-images-idx3-ubyte": x,
        "train-labels-idx1-ubyte": y,
        "t10k-images-idx3-ubyte": x_test,
        "t10k-labels-idx1-ubyte": y_test,
    }
    for name, array in arrays.items():
        (folder / (name + ".gz" * packed)).write_bytes(
            gzip.compress(idx(array)) if packed else idx(array)
        )
    return folder


def access(root: Path) -> DataAccess:
    return DataAccess(roots=(root,), data_dir=root)


def load(root: Path, uri: str, split=None):
    return loading.load(
        ImageData(source="images", uri=uri),
        split or Split(),
        task=Task.CLASSIFICATION,
        kinds=("images",),
        access=access(root),
    )


def inspect(root: Path, uri: str, task=Task.CLASSIFICATION, kinds=("images",)) -> None:
    loading.inspect(
        ImageData(source="images", uri=uri),
        task=task,
        kinds=kinds,
        access=access(root),
        split=Split(),
    )


def refused(root: Path, uri: str, *, at_submit=True) -> str:
    """The complaint in the run; the submit complains too, unless told otherwise."""
    with pytest.raises(InvalidData) as in_the_run:
        load(root, uri)
    assert in_the_run.value.pointer == "/data/uri"
    if at_submit:
        with pytest.raises(InvalidData) as submitted:
            inspect(root, uri)
        assert submitted.value.pointer == "/data/uri"
    else:
        inspect(root, uri)
    return in_the_run.value.detail
