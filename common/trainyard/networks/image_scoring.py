"""The code of a logged image model. It is copied into the model and runs without Trainyard.

Images in, probabilities of (n, classes) out. Whatever form they come in, the network is given the bytes that training
saw. Two models in one process share a module by its name: give the file another name when it does something else.
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

WHITE = 255
AT_ONCE = 512


def _load_pyfunc(path: str, model_config: Any = None) -> Any:  # noqa: ARG001 - MLflow's signature
    """What MLflow asks of a module that loads a model; `path` is the model's folder, or its data in it."""
    from mlflow.models import Model

    folder = next(each for each in (Path(path), Path(path).parent) if (each / "MLmodel").exists())
    about = Model.load(str(folder))
    network = _by_torch(folder) if "pytorch" in about.flavors else _by_keras(folder)
    return Images(network, tuple((about.metadata or {})["image_shape"]))


class Images:
    """Answers for images of the `shape` that the network was trained on: (height, width, channels), or (height, width) for grey."""

    def __init__(self, network: Any, shape: tuple[int, ...]) -> None:
        self.network = network
        self.shape = shape

    def predict(self, images: Any, params: Any = None) -> npt.NDArray[np.float32]:  # noqa: ARG002 - MLflow's signature
        """float32 of (n, classes). Raises ValueError for what cannot be such images, with what would be right."""
        found = as_bytes(shaped(images, self.shape))
        some = found if len(found) else np.zeros((1, *self.shape), np.uint8)
        parts = [self.network(some[at : at + AT_ONCE]) for at in range(0, len(some), AT_ONCE)]
        return np.concatenate(parts)[: len(found)]


def shaped(images: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Numbers of (n, *shape), from images with or without an axis for one channel, with channels first, or flat."""
    try:
        array = images.to_numpy() if isinstance(images, pd.DataFrame) else np.asarray(images)
        array = np.array(array.tolist()) if array.dtype == object else array
    except ValueError as error:
        message = f"the images are not all of one shape, and {_right(shape)}"
        raise ValueError(message) from error
    if array.dtype.kind not in "biuf":
        message = f"the images hold {array.dtype}, where numbers are due"
        raise ValueError(message)
    own, grey = array.shape[1:], len(shape) == 2
    alike = {shape, (int(np.prod(shape)),), (*shape, 1) if grey else shape}
    if own in alike or array.shape == (0,):
        return array.reshape(-1, *shape)
    if own == ((1, *shape) if grey else (shape[2], *shape[:2])):
        return array[:, 0] if grey else np.moveaxis(array, 1, -1)
    message = f"the images are of the shape {array.shape}, and {_right(shape)}"
    raise ValueError(message)


def as_bytes(images: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Bytes, from bytes, numbers in 0..255, floats in 0..1 or booleans. Floats up to 1 alone are shares of white."""
    if images.dtype == np.uint8 or not images.size:
        return images.astype(np.uint8)
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= WHITE):  # or NaN
        message = f"the images lie within {low}..{high}, and bytes, numbers in 0..255 or floats in 0..1 are due"
        raise ValueError(message)
    is_share = images.dtype.kind in "fb" and high <= 1
    return np.rint(images * np.float32(WHITE if is_share else 1)).astype(np.uint8)


def _right(shape: tuple[int, ...]) -> str:
    axes = ", ".join(map(str, shape))
    return f"(n, {axes}) is right" + (f", or (n, {axes}, 1)" if len(shape) == 2 else "")


def _by_torch(folder: Path) -> Any:
    torch = importlib.import_module("torch")
    network = importlib.import_module("mlflow.pytorch").load_model(str(folder))

    def answers(images: Any) -> Any:
        with torch.inference_mode():
            return network(torch.from_numpy(np.require(images, requirements=["C", "W"]))).numpy()

    return answers


def _by_keras(folder: Path) -> Any:
    network = importlib.import_module("mlflow.tensorflow").load_model(str(folder))
    return lambda images: network.predict(images, verbose=0)
