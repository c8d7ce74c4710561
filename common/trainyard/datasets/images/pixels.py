"""Arrays of images and labels as they are found, checked and brought to one form."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.datasets.sources.location import Location
from trainyard.errors import InvalidData

WHITE = 255
Images = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]
Shape = tuple[int, ...]


def check_shapes(x: Shape, y: Shape, part: str, location: Location) -> None:
    """Raise `InvalidData` unless these are the shapes of images and of one label each."""
    if len(x) not in {3, 4} or y not in {x[:1], (*x[:1], 1)}:
        raise InvalidData(
            f"x_{part} of {location.uri!r} has the shape {x} and y_{part} {y}; (n, height, width) or (n, height, width, channels), and (n,), are right",
            location.pointer,
        )
    if not x[0]:
        raise InvalidData(f"x_{part} of {location.uri!r} holds no images", location.pointer)


def check_kinds(x: np.dtype[Any], y: np.dtype[Any], part: str, location: Location) -> None:
    """Raise `InvalidData` unless images are numbers, and labels numbers or strings."""
    if x.kind not in "iubf":
        raise InvalidData(
            f"x_{part} of {location.uri!r} is {x}; numbers are needed", location.pointer
        )
    if y.kind not in "iubUf":
        raise InvalidData(
            f"y_{part} of {location.uri!r} is {y}; labels are integers or strings", location.pointer
        )


def images_of(x: npt.NDArray[Any], y: npt.NDArray[Any], part: str, location: Location) -> Images:
    """Images, uint8 (n, height, width, channels), with labels (n,). Raises `InvalidData`."""
    if y.dtype.kind == "f" and not np.array_equal(y, np.floor(y)):
        raise InvalidData(
            f"y_{part} of {location.uri!r} is {y.dtype} with fractions or NaN; labels are integers or strings",
            location.pointer,
        )
    images = _as_bytes(x, part, location)
    labels = y.reshape(-1)
    if y.dtype.kind == "f":
        labels = labels.astype(np.int64)
    return images if x.ndim == 4 else images[..., np.newaxis], labels


def _as_bytes(x: npt.NDArray[Any], part: str, location: Location) -> npt.NDArray[np.uint8]:
    """Numbers within 0..255 as they are, floats within 0..1 times 255."""
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind == "f" and np.isnan(x).any():
        with_nan = int(np.isnan(x).any(axis=tuple(range(1, x.ndim))).sum())
        raise InvalidData(
            f"x_{part} of {location.uri!r} has NaN in {with_nan} images; leave those images out",
            location.pointer,
        )
    low, high = x.min(initial=0), x.max(initial=0)
    if low < 0 or high > WHITE:
        raise InvalidData(
            f"x_{part} of {location.uri!r} lies within {low}..{high}; 0..255, or floats in 0..1, are right",
            location.pointer,
        )
    scale = WHITE if x.dtype.kind in "fb" and high <= 1 else 1
    return np.rint(x * np.float32(scale)).astype(np.uint8)
