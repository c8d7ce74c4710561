"""Images with labels: a folder of pictures by class, of IDX files, or an .npz of four arrays."""

import hashlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.contract import ImageData, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.images import by_class, idx_folder, npz
from trainyard.datasets.images.class_folders import holds_pictures
from trainyard.datasets.images.pixels import Found
from trainyard.datasets.profile import image_profile
from trainyard.datasets.sources.addresses import locate, opened
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location
from trainyard.datasets.sources.memory import little_memory
from trainyard.datasets.sources.redaction import file_name, redacted
from trainyard.datasets.splitting import partition
from trainyard.datasets.tables.suspicions import spelt_alike
from trainyard.errors import InvalidData
from trainyard.trainer import Data, Part


@dataclass(frozen=True)
class Labelled:
    """Images, uint8 of (n, height, width, channels), and labels of (n,)."""

    x: npt.NDArray[np.uint8]
    y: npt.NDArray[Any]


def load_images(spec: ImageData, split: Split, *, access: DataAccess) -> Data:
    """Read, check and split images. Raises `InvalidData`."""
    found = _found(spec, access)
    train, test = labelled(found)
    name, source = file_name(spec.uri), redacted(spec.uri)
    return divided(train, test, split, name=name, source=source, warnings=found.warnings)


def read_images(spec: ImageData, *, access: DataAccess) -> tuple[Labelled, Labelled | None]:
    """The training images as they were saved, and the test images where they are set apart. Raises `InvalidData`."""
    return labelled(_found(spec, access))


def _found(spec: ImageData, access: DataAccess) -> Found:
    with opened(spec.uri, access) as location:
        found: Found = _source(location).read(location)
        return found


def labelled(found: Found) -> tuple[Labelled, Labelled | None]:
    """The two parts of what was found."""
    return Labelled(*found.train), None if found.test is None else Labelled(*found.test)


def _source(location: Location) -> ModuleType:
    """The module that reads such images: it has `read` and `check`."""
    if location.files is None:
        return npz
    return by_class if holds_pictures(location) else idx_folder


def inspect_images(spec: ImageData, *, access: DataAccess) -> None:
    """Check what the headers tell. Raises `InvalidData`."""
    with little_memory(spec.uri, "/data/uri"):
        location = locate(spec.uri, access)
        if isinstance(location, WebFile):
            npz.check_web(location)
        else:
            _source(location).check(location)


def divided(  # noqa: PLR0913 - images, and what is known of them
    train: Labelled,
    test: Labelled | None,
    split: Split,
    *,
    name: str,
    source: str,
    warnings: tuple[str, ...] = (),
) -> Data:
    """Split images; without `test` the test part is split off too. Raises `InvalidData`."""
    pointer = "/data/name" if source.startswith("builtin:") else "/data/uri"
    found, y = np.unique(train.y, return_inverse=True)
    classes = found.tolist()
    if len(classes) < 2:
        raise InvalidData(
            f"all images of {name!r} are of one class, {classes}; two or more are needed", pointer
        )
    y, warnings = y.astype(np.int64), (*warnings, *_alike(classes, name))
    parts = _parts(train, y, classes, split, with_test=test is None)
    if test is not None:
        parts["test"] = Part(test.x, _indices(test.y, found, name, pointer))
    return Data(
        kind="images",
        name=name,
        source=source,
        digest=_digest(train, test),
        task=Task.CLASSIFICATION,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts["test"],
        target="label",
        classes=tuple(classes),
        profile=image_profile(
            y if test is None else np.concatenate([y, parts["test"].y]),
            classes,
            shape=train.x.shape[1:],
            sizes={part: len(each) for part, each in parts.items()},
            warnings=warnings,
        ),
        warnings=warnings,
    )


def _alike(classes: list[Any], name: str) -> list[str]:
    """A sentence where two classes have the same name but for case or white space."""
    alike = spelt_alike(classes)
    if alike is None:
        return []
    return [
        f"the images of {name!r} have the classes {alike[0]} and {alike[1]}, which are two; write them alike where they mean the same"
    ]


def _parts(
    images: Labelled, y: npt.NDArray[np.int64], classes: list[Any], split: Split, *, with_test: bool
) -> dict[str, Part]:
    """The parts that `images` are divided into: train, validation where asked for, and test where `with_test`."""
    rows = partition(y, split, classes=classes, with_test=with_test)
    _check_training(y[rows.train], classes)
    divided = {"train": rows.train, "validation": rows.validation, "test": rows.test}
    return {
        part: Part(images.x[each], y[each]) for part, each in divided.items() if each is not None
    }


def _check_training(y: npt.NDArray[np.int64], classes: list[Any]) -> None:
    absent = np.flatnonzero(np.bincount(y, minlength=len(classes)) == 0)
    if len(absent):
        raise InvalidData(
            f"class {classes[absent[0]]!r} has no image in the training part; set split.stratify to true",
            "/split/stratify",
        )


def _indices(
    labels: npt.NDArray[Any], classes: npt.NDArray[Any], name: str, pointer: str
) -> npt.NDArray[np.int64]:
    strange = np.setdiff1d(labels, classes)
    if len(strange):
        raise InvalidData(
            f"the test images of {name!r} have the label {strange[0].item()!r}, and the training images have not",
            pointer,
        )
    return np.searchsorted(classes, labels).astype(np.int64)


def _digest(*parts: Labelled | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if part is not None:
            digest.update(repr((part.x.shape, part.y.tolist())).encode("utf-8", "backslashreplace"))
            digest.update(np.ascontiguousarray(part.x).data)
    return digest.hexdigest()
