"""A folder of four IDX files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and the same with `t10k`."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.datasets.images import idx
from trainyard.datasets.sources.location import Location
from trainyard.errors import InvalidData

PREFIXES = ("train", "t10k")
Images = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]


def read(location: Location) -> tuple[Images, Images]:
    """Training and test images, uint8 (n, height, width, channels), each with labels (n,). Raises `InvalidData`."""
    train, test = (_pair(location, prefix) for prefix in PREFIXES)
    if train[0].shape[1:] != test[0].shape[1:]:
        raise InvalidData(
            f"training images of {location.uri!r} are {train[0].shape[1:]}, and test images {test[0].shape[1:]}",
            location.pointer,
        )
    return train, test


def check(location: Location) -> None:
    """Raise `InvalidData` unless the files are there, are IDX, and have one label an image; reads headers alone."""
    for prefix in PREFIXES:
        _check_shapes(
            location,
            prefix,
            idx.shape(location, _file(location, prefix, "images")),
            idx.shape(location, _file(location, prefix, "labels")),
        )


def _pair(location: Location, prefix: str) -> Images:
    images = idx.array(location, _file(location, prefix, "images"))
    labels = idx.array(location, _file(location, prefix, "labels"))
    _check_shapes(location, prefix, images.shape, labels.shape)
    return images if images.ndim == 4 else images[..., np.newaxis], labels


def _check_shapes(
    location: Location, prefix: str, images: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    if len(images) not in {3, 4} or len(labels) != 1:
        raise InvalidData(
            f"{prefix} images of {location.uri!r} have the shape {images} and labels {labels}; (n, height, width) and (n,) are right",
            location.pointer,
        )
    if images[0] != labels[0] or not images[0]:
        raise InvalidData(
            f"{location.uri!r} has {images[0]} {prefix} images and {labels[0]} labels; one label an image is needed",
            location.pointer,
        )


def _file(location: Location, prefix: str, what: str) -> str:
    dimensions = 3 if what == "images" else 1
    usual = [
        f"{prefix}-{what}{mark}idx{dimensions}-ubyte{ending}"
        for mark in "-."
        for ending in (".gz", "")
    ]
    for name in usual:
        if name in (location.files or ()):
            return name
    raise InvalidData(
        f"the folder {location.uri!r} holds no {usual[0]!r}, gzipped or not", location.pointer
    )
