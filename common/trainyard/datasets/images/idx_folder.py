"""A folder of IDX files: images and labels to train on, and the same to test on where they are set apart.

They are known by MNIST's names, `train-images-idx3-ubyte` and so on with `t10k`; under other names by what their
headers say, and by which is called a test or is the smaller.
"""

from collections.abc import Mapping

from trainyard.datasets.images import idx
from trainyard.datasets.images.pixels import Found, Images
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables.parts import visible
from trainyard.errors import InvalidData

PREFIXES = ("train", "t10k")
TESTS = ("t10k", "test", "val")
MOST_FILES = 20
"""Whose headers are read where the names do not tell."""
Pair = tuple[str, str]
"""The file of images and the file of labels."""


def read(location: Location) -> Found:
    """Training and test images with their labels. Raises `InvalidData`."""
    pairs = _pairs(location)
    train = _images(location, "train", pairs["train"])
    test = _images(location, "t10k", pairs["t10k"]) if "t10k" in pairs else None
    if test is not None and train[0].shape[1:] != test[0].shape[1:]:
        raise InvalidData(
            f"training images of {location.uri!r} are {train[0].shape[1:]}, and test images {test[0].shape[1:]}",
            location.pointer,
        )
    return Found(train, test)


def check(location: Location) -> None:
    """Raise `InvalidData` unless the files are there, are IDX, and have one label an image; reads headers alone."""
    for prefix, (images, labels) in _pairs(location).items():
        _check_shapes(location, prefix, idx.shape(location, images), idx.shape(location, labels))


def _images(location: Location, prefix: str, pair: Pair) -> Images:
    images, labels = (idx.array(location, file) for file in pair)
    _check_shapes(location, prefix, images.shape, labels.shape)
    return images if images.ndim == 4 else images[..., None], labels


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


def _pairs(location: Location) -> Mapping[str, Pair]:
    """The files of each part; `train` is always there."""
    usual = {
        (prefix, what): _usual(location, prefix, what)
        for prefix in PREFIXES
        for what in ("images", "labels")
    }
    if not any(usual.values()):
        return _by_headers(location)
    for (prefix, what), file in usual.items():
        if file is None:
            raise InvalidData(
                f"the folder {location.uri!r} holds no {_names(prefix, what)[0]!r}, gzipped or not",
                location.pointer,
            )
    return {
        prefix: (str(usual[prefix, "images"]), str(usual[prefix, "labels"])) for prefix in PREFIXES
    }


def _usual(location: Location, prefix: str, what: str) -> str | None:
    names = _names(prefix, what)
    return next((name for name in names if name in (location.files or ())), None)


def _names(prefix: str, what: str) -> list[str]:
    dimensions = 3 if what == "images" else 1
    return [
        f"{prefix}-{what}{mark}idx{dimensions}-ubyte{ending}"
        for mark in "-."
        for ending in (".gz", "")
    ]


def _by_headers(location: Location) -> Mapping[str, Pair]:
    """The same by what the files say of themselves."""
    files = [
        file for file in visible(location.files or ())[:MOST_FILES] if idx.begins(location, file)
    ]
    shapes = {file: idx.shape(location, file) for file in files}
    images = [file for file, shape in shapes.items() if len(shape) in {3, 4}]
    labels = [file for file, shape in shapes.items() if len(shape) == 1]
    tests = {file for file in shapes if any(word in file.lower() for word in TESTS)}
    if not tests and len(images) > 1:
        fewest = min(shapes[file][0] for file in images)
        tests = {file for file, shape in shapes.items() if shape[0] == fewest}
    pairs: dict[str, Pair] = {}
    for part, is_test in (("train", False), ("t10k", True)):
        of_part = [
            [file for file in each if (file in tests) == is_test] for each in (images, labels)
        ]
        if [len(each) for each in of_part] == [1, 1]:
            pairs[part] = (of_part[0][0], of_part[1][0])
        elif any(of_part) or part == "train":
            raise _untold(location, files)
    return pairs


def _untold(location: Location, files: list[str]) -> InvalidData:
    held = f"the IDX files {', '.join(map(repr, files[:5]))}" if files else "no IDX files"
    return InvalidData(
        f"the folder {location.uri!r} holds {held} and no pictures; one file of images and one of labels to train on, and two more whose names have 'test' in them, are right, or the folder of a class for each picture",
        location.pointer,
    )
