"""An .npz with `x_train`, `y_train`, `x_test` and `y_test`; never unpickled."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.datasets.location import Location, readable
from trainyard.datasets.web import WebFile
from trainyard.errors import InvalidData

KEYS = ("x_train", "y_train", "x_test", "y_test")
MAGIC = b"PK\x03\x04"
WHITE = 255
Images = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]


def read(location: Location) -> tuple[Images, Images]:
    """Training and test images, uint8 (n, height, width, channels), each with labels (n,). Raises `InvalidData`.

    Floats within 0..1 are scaled to 0..255, other numbers must lie within 0..255.
    """
    with _archive(location) as archive:
        _check_keys(archive.files, location)
        arrays = {key: archive[key] for key in KEYS}
    train, test = (_pair(arrays.pop(f"x_{part}"), arrays.pop(f"y_{part}"), part, location) for part in ("train", "test"))
    if train[0].shape[1:] != test[0].shape[1:]:
        raise InvalidData(f"x_train of {location.uri!r} holds images of {train[0].shape[1:]}, and x_test of {test[0].shape[1:]}", location.pointer)
    return train, test


def check(location: Location) -> None:
    """That the four arrays are there, and as many labels as images; reads their headers alone. Raises `InvalidData`."""
    with _archive(location) as archive:
        _check_keys(archive.files, location)
        shapes = {key: _shape(archive.zip, key) for key in KEYS}
    for part in ("train", "test"):
        _check_shapes(shapes[f"x_{part}"], shapes[f"y_{part}"], part, location)


def check_web(location: WebFile) -> None:
    """That a file from the web begins as a zip does; what is in it stands at its end and is seen in the run."""
    data, _ = location.head(len(MAGIC))
    if data != MAGIC:
        raise InvalidData(f"{location.uri!r} is not an .npz: it begins with {data!r}", location.pointer)


@contextmanager
def _archive(location: Location) -> Iterator[Any]:
    with readable(location.uri, location.pointer), location.seekable() as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise InvalidData(f"{location.uri!r} is neither a folder of IDX files nor an .npz", location.pointer)
        stream.seek(0)
        try:
            with np.load(stream, allow_pickle=False) as archive:
                yield archive
        except (ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise InvalidData(f"{location.uri!r} is not an .npz of plain arrays: {error}", location.pointer) from error


def _shape(archive: zipfile.ZipFile, key: str) -> tuple[int, ...]:
    with archive.open(f"{key}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return tuple(header(stream)[0])


def _check_keys(keys: list[str], location: Location) -> None:
    absent = [key for key in KEYS if key not in keys]
    if absent:
        raise InvalidData(f"{location.uri!r} has no {', '.join(absent)}; it holds {', '.join(sorted(keys)) or 'nothing'}", location.pointer)


def _check_shapes(x: tuple[int, ...], y: tuple[int, ...], part: str, location: Location) -> None:
    if len(x) not in {3, 4} or y not in {x[:1], (*x[:1], 1)}:
        raise InvalidData(
            f"x_{part} of {location.uri!r} has the shape {x} and y_{part} {y}; (n, height, width) or (n, height, width, channels), and (n,), are right",
            location.pointer,
        )
    if not x[0]:
        raise InvalidData(f"x_{part} of {location.uri!r} holds no images", location.pointer)


def _pair(x: npt.NDArray[Any], y: npt.NDArray[Any], part: str, location: Location) -> Images:
    _check_shapes(x.shape, y.shape, part, location)
    if y.dtype.kind not in "iubUf" or (y.dtype.kind == "f" and (y != np.floor(y)).any()):
        raise InvalidData(f"y_{part} of {location.uri!r} is {y.dtype}; labels are integers or strings", location.pointer)
    images = _bytes(x, part, location)
    labels = y.reshape(-1)
    return images if x.ndim == 4 else images[..., np.newaxis], labels.astype(np.int64) if y.dtype.kind == "f" else labels  # noqa: PLR2004 - a channel axis already


def _bytes(x: npt.NDArray[Any], part: str, location: Location) -> npt.NDArray[np.uint8]:
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind not in "iubf":
        raise InvalidData(f"x_{part} of {location.uri!r} is {x.dtype}; numbers are needed", location.pointer)
    if x.dtype.kind == "f" and np.isnan(x).any():
        raise InvalidData(f"x_{part} of {location.uri!r} has NaN in {int(np.isnan(x).any(axis=tuple(range(1, x.ndim))).sum())} images", location.pointer)
    low, high = x.min(), x.max()
    if low < 0 or high > WHITE:
        raise InvalidData(f"x_{part} of {location.uri!r} lies within {low}..{high}; 0..255, or floats in 0..1, are right", location.pointer)
    scale = WHITE if x.dtype.kind in "fb" and high <= 1 else 1
    return np.rint(x * np.float32(scale)).astype(np.uint8)
