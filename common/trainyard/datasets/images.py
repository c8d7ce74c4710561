"""Images with labels: a folder of IDX files named as MNIST's are, or an .npz of four arrays."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.contract import ImageData, Split, Task
from trainyard.datasets import idxfolder, npz
from trainyard.datasets.locations import locate, opened
from trainyard.datasets.profile import image_profile
from trainyard.datasets.splitting import partition
from trainyard.datasets.web import WebFile
from trainyard.errors import InvalidData
from trainyard.settings import DataAccess
from trainyard.trainer import Data, Part


@dataclass(frozen=True)
class Labelled:
    """Images, uint8 of (n, height, width, channels), and labels of (n,)."""

    x: npt.NDArray[np.uint8]
    y: npt.NDArray[Any]


def load_images(spec: ImageData, split: Split, *, access: DataAccess) -> Data:
    """Read, check and split images. Raises `InvalidData`."""
    with opened(spec.uri, access) as location:
        source = npz if location.files is None else idxfolder
        train, test = (Labelled(*each) for each in source.read(location))
    return divided(train, test, split, name=spec.uri.rstrip("/").rpartition("/")[2], source=spec.uri)


def inspect_images(spec: ImageData, *, access: DataAccess) -> None:
    """Check what the headers tell. Raises `InvalidData`."""
    location = locate(spec.uri, access)
    if isinstance(location, WebFile):
        npz.check_web(location)
    elif location.files is None:
        npz.check(location)
    else:
        idxfolder.check(location)


def divided(train: Labelled, test: Labelled | None, split: Split, *, name: str, source: str) -> Data:
    """Split images; without `test` the test part is split off too. Raises `InvalidData`."""
    pointer = "/data/name" if source.startswith("builtin:") else "/data/uri"
    classes, y = np.unique(train.y, return_inverse=True)
    if len(classes) < 2:  # noqa: PLR2004 - one class is nothing to tell apart
        raise InvalidData(f"all images of {name!r} are of one class, {classes.tolist()}; two or more are needed", pointer)
    y = y.astype(np.int64)
    rows = partition(y, split, classes=classes.tolist(), with_test=test is None)
    _check_training(y[rows.train], classes)
    parts = {"train": Part(train.x[rows.train], y[rows.train])}
    if rows.validation is not None:
        parts["validation"] = Part(train.x[rows.validation], y[rows.validation])
    if rows.test is not None:
        parts["test"] = Part(train.x[rows.test], y[rows.test])
    elif test is not None:
        parts["test"] = Part(test.x, _indices(test.y, classes, name, pointer))
    together = y if test is None else np.concatenate([y, parts["test"].y])
    described = image_profile(together, classes.tolist(), shape=train.x.shape[1:], sizes={part: len(each) for part, each in parts.items()})
    return Data(
        kind="images", name=name, source=source, digest=_digest(train, test), task=Task.CLASSIFICATION, train=parts["train"],
        validation=parts.get("validation"), test=parts["test"], target="label", classes=tuple(classes.tolist()), profile=described,
    )


def _check_training(y: npt.NDArray[np.int64], classes: npt.NDArray[Any]) -> None:
    absent = np.flatnonzero(np.bincount(y, minlength=len(classes)) == 0)
    if len(absent):
        raise InvalidData(f"class {classes[absent[0]].item()!r} has no image in the training part; set split.stratify to true", "/split/stratify")


def _indices(labels: npt.NDArray[Any], classes: npt.NDArray[Any], name: str, pointer: str) -> npt.NDArray[np.int64]:
    strange = np.setdiff1d(labels, classes)
    if len(strange):
        raise InvalidData(f"the test images of {name!r} have the label {strange[0].item()!r}, and the training images have not", pointer)
    return np.searchsorted(classes, labels).astype(np.int64)


def _digest(*parts: Labelled | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if part is not None:
            digest.update(repr((part.x.shape, part.y.tolist())).encode("utf-8", "backslashreplace"))
            digest.update(np.ascontiguousarray(part.x).data)
    return digest.hexdigest()
