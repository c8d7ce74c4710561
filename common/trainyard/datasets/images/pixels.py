"""Arrays of images and labels as they are found, checked and brought to one form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.datasets.sources.location import Location
from trainyard.errors import InvalidData

WHITE = 255
CHANNELS = frozenset({1, 3, 4})
MOST_BITS = 16
Images = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """Images, uint8 of (n, height, width, channels), with labels of (n,): to train on, and to test where they are set apart."""

    train: Images
    test: Images | None
    warnings: tuple[str, ...] = ()
    """What was done to them that a person should know."""


def check_shapes(x: Shape, y: Shape, part: str, location: Location) -> None:
    """Raise `InvalidData` unless these are the shapes of images and of one label each."""
    if len(x) not in {3, 4} or y[:1] != x[:1] or len(y) > 2:
        raise InvalidData(
            f"x_{part} of {location.uri!r} has the shape {x} and y_{part} {y}; (n, height, width) or (n, height, width, channels), and (n,) or one-hot (n, classes), are right",
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
    if y.kind not in "iubUSf":
        raise InvalidData(
            f"y_{part} of {location.uri!r} is {y}; labels are integers or strings", location.pointer
        )


def images_of(arrays: dict[str, npt.NDArray[Any]], location: Location) -> Found:
    """The images of `x_train` and `x_test` with the labels of `y_train` and `y_test`; `arrays` are used up.

    What stands for black and white is found from both parts together. Raises `InvalidData`.
    """
    said = []
    shape = arrays["x_train"].shape
    if is_channels_first(shape):
        said.append(
            f"the images of {location.uri!r} are of the shape {shape[1:]}, channels first, and are read as {(*shape[2:], shape[1])}"
        )
        for part in ("x_train", "x_test"):
            arrays[part] = np.moveaxis(arrays[part], 1, -1)
    scales, words = _scales(arrays, location)
    said += words
    if arrays["y_train"].ndim == 2 and arrays["y_train"].shape[1] > 1:
        said.append(
            f"the labels of {location.uri!r} are one-hot, and are read as the position of the 1"
        )
    train, test = (
        (
            _as_bytes(arrays.pop(f"x_{part}"), scales[f"x_{part}"]),
            _labels(arrays.pop(f"y_{part}"), part, location),
        )
        for part in ("train", "test")
    )
    return Found(train, test, tuple(said))


def is_channels_first(shape: Shape) -> bool:
    """Whether (n, a, b, c) can only be channels, height and width."""
    return len(shape) == 4 and shape[1] in CHANNELS and shape[3] not in CHANNELS


def _labels(y: npt.NDArray[Any], part: str, location: Location) -> npt.NDArray[Any]:
    """Labels of (n,), strings or integers. Raises `InvalidData`."""
    if y.dtype.kind == "f" and not np.array_equal(y, np.floor(y)):
        raise InvalidData(
            f"y_{part} of {location.uri!r} is {y.dtype} with fractions or NaN; labels are integers or strings",
            location.pointer,
        )
    if y.ndim == 2 and y.shape[1] > 1:
        if y.dtype.kind in "US" or (y != 0).sum() != len(y) or not (y.max(axis=1) == 1).all():
            raise InvalidData(
                f"y_{part} of {location.uri!r} has the shape {y.shape} and is not one-hot, one 1 a row and else 0; one label an image is needed",
                location.pointer,
            )
        positions: npt.NDArray[np.int64] = y.argmax(axis=1)
        return positions
    labels = y.reshape(-1)
    if y.dtype.kind == "S":
        return np.char.decode(labels, "utf-8")
    return labels.astype(np.int64) if y.dtype.kind == "f" else labels


def _scales(
    arrays: dict[str, npt.NDArray[Any]], location: Location
) -> tuple[dict[str, float], list[str]]:
    """What to multiply the pixels of each part by to have white at 255, the same for parts of one kind; and what to say."""
    highest = {name: _highest(arrays[name], name, location) for name in ("x_train", "x_test")}
    scales, said = {}, {}
    for name in highest:
        is_share = arrays[name].dtype.kind in "fb"
        most = max(
            highest[each] for each in highest if (arrays[each].dtype.kind in "fb") == is_share
        )
        scales[name] = WHITE if is_share and most <= 1 else 1.0
        if most > WHITE:
            bits = int(most).bit_length()
            scales[name] = WHITE / (2**bits - 1)
            said[bits] = (
                f"images of {location.uri!r} are of {bits} bits, 0..{2**bits - 1}, and are read as bytes, 0..255"
            )
    return scales, [*said.values()]


def _highest(x: npt.NDArray[Any], name: str, location: Location) -> float:
    """The highest pixel. Raises `InvalidData` for what is no image."""
    if x.dtype.kind == "f" and np.isnan(x).any():
        with_nan = int(np.isnan(x).any(axis=tuple(range(1, x.ndim))).sum())
        raise InvalidData(
            f"{name} of {location.uri!r} has NaN in {with_nan} images; leave those images out",
            location.pointer,
        )
    low, high = x.min(initial=0), x.max(initial=0)
    if low < 0 or high > (2**MOST_BITS - 1 if x.dtype.kind in "iu" else WHITE):
        raise InvalidData(
            f"{name} of {location.uri!r} lies within {low}..{high}; 0..255, or floats in 0..1, or whole numbers of 16 bits, are right",
            location.pointer,
        )
    return float(high)


def _as_bytes(x: npt.NDArray[Any], scale: float) -> npt.NDArray[np.uint8]:
    made = (
        x if x.dtype == np.uint8 and scale == 1 else np.rint(x * np.float32(scale)).astype(np.uint8)
    )
    return made if made.ndim == 4 else made[..., np.newaxis]
