"""An .npz with `x_train`, `y_train`, `x_test` and `y_test`; never unpickled.

An .npz is a zip of one .npy file an array. Whatever a header says is held against the sizes in the zip's
directory, and these against the file's, before anything is allocated by it.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from trainyard.datasets.images.npy import Header, read_header
from trainyard.datasets.images.pixels import Found, check_kinds, check_shapes, images_of
from trainyard.datasets.sources.archives import MAGIC, archive
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location
from trainyard.datasets.sources.memory import DEFLATE_RATIO, check_fits
from trainyard.errors import InvalidData

PARTS = ("train", "test")
KEYS = ("x_train", "y_train", "x_test", "y_test")


def read(location: Location) -> Found:
    """Training and test images with their labels. Raises `InvalidData`.

    Floats within 0..1 and whole numbers of up to 16 bits are scaled to 0..255, other numbers must lie within 0..255.
    """
    with _archive(location) as archive:
        _check_headers(archive, location)
        arrays = {key: _array(archive, key) for key in KEYS}
    return images_of(arrays, location)


def check(location: Location) -> None:
    """Raise `InvalidData` unless the four arrays are there and fit each other; reads their headers alone."""
    with _archive(location) as archive:
        _check_headers(archive, location)


def check_web(location: WebFile) -> None:
    """Raise `InvalidData` unless a file from the web begins as a zip does; its directory, at its end, is read in the run."""
    data, _ = location.head(len(MAGIC))
    if data != MAGIC:
        raise InvalidData(
            f"{location.uri!r} is not an .npz: it begins with {data!r}", location.pointer
        )


@contextmanager
def _archive(location: Location) -> Iterator[zipfile.ZipFile]:
    if location.head(len(MAGIC))[0] != MAGIC:
        raise InvalidData(
            f"{location.uri!r} is neither a folder of images nor an .npz", location.pointer
        )
    with archive(location, "an .npz of plain arrays") as opened:
        yield opened


def _array(archive: zipfile.ZipFile, key: str) -> Any:
    with archive.open(f"{key}.npy") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_headers(archive: zipfile.ZipFile, location: Location) -> None:
    names = {info.filename.removesuffix(".npy") for info in archive.infolist()}
    absent = [key for key in KEYS if key not in names]
    if absent:
        held = ", ".join(sorted(names)[:20]) or "nothing"
        raise InvalidData(
            f"{location.uri!r} has no {', '.join(absent)}; it holds {held}", location.pointer
        )
    headers = {key: _header(archive, key, location) for key in KEYS}
    check_fits(
        sum(header.size_bytes for header in headers.values()),
        repr(location.uri),
        location.pointer,
    )
    for part in PARTS:
        x, y = headers[f"x_{part}"], headers[f"y_{part}"]
        check_shapes(x.shape, y.shape, part, location)
        check_kinds(x.dtype, y.dtype, part, location)
    train, test = (headers[f"x_{part}"].shape[1:] for part in PARTS)
    if train != test:
        raise InvalidData(
            f"x_train of {location.uri!r} holds images of {train}, and x_test of {test}",
            location.pointer,
        )


def _header(archive: zipfile.ZipFile, key: str, location: Location) -> Header:
    """The header of one array, its size as the zip's directory says it is, and that size possible."""
    info = archive.getinfo(f"{key}.npy")
    with archive.open(info) as stream:
        header = read_header(stream)
    possible = {
        zipfile.ZIP_STORED: info.compress_size,
        zipfile.ZIP_DEFLATED: info.compress_size * DEFLATE_RATIO,
    }.get(info.compress_type, 0)
    if header.dtype.hasobject:
        raise InvalidData(
            f"{key} of {location.uri!r} holds Python objects; save it as numbers, or labels as strings",
            location.pointer,
        )
    if header.size_bytes != info.file_size or info.file_size > possible:
        raise InvalidData(
            f"{key} of {location.uri!r} says that it is {header.dtype} of {header.shape}, {header.size_bytes:,} bytes, and {info.file_size:,} are in the file, packed into {info.compress_size:,}; save it again with numpy.savez",
            location.pointer,
        )
    return header
