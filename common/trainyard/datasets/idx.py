"""The IDX format of MNIST, raw or gzipped: two zero bytes, a type, the number of dimensions, sizes, values.

Described at https://yann.lecun.com/exdb/mnist/ (file formats). Only unsigned bytes, type 8, are read.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.datasets.location import Location, readable
from trainyard.errors import InvalidData

UNSIGNED_BYTE = 8


def shape(location: Location, file: str) -> tuple[int, ...]:
    """The sizes in a file's header; reads no further. Raises `InvalidData` for another format."""
    with _unpacked(location, file) as stream:
        return _header(stream, location, file)


def array(location: Location, file: str) -> npt.NDArray[np.uint8]:
    """All values, uint8 in the header's shape. Raises `InvalidData` for another format, or too few or many bytes."""
    with _unpacked(location, file) as stream:
        sizes = _header(stream, location, file)
        data = stream.read()
    if len(data) != math.prod(sizes):
        raise InvalidData(f"{file!r} in {location.uri!r} holds {len(data)} values, and its header says {sizes}: {math.prod(sizes)}", location.pointer)
    return np.frombuffer(data, dtype=np.uint8).reshape(sizes)


@contextmanager
def _unpacked(location: Location, file: str) -> Iterator[Any]:
    with readable(f"{location.uri}/{file}", location.pointer), location.seekable(file) as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            yield gzip.GzipFile(fileobj=raw) if packed else raw
        except zlib.error as error:
            raise InvalidData(f"{file!r} in {location.uri!r} is damaged: {error}", location.pointer) from error


def _header(stream: Any, location: Location, file: str) -> tuple[int, ...]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTE:  # noqa: PLR2004 - the magic number's length
        raise InvalidData(f"{file!r} in {location.uri!r} is not IDX: it begins with 0x{magic.hex()}, and 0x00000803 (images) or 0x00000801 (labels) is right", location.pointer)
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise InvalidData(f"{file!r} in {location.uri!r} ends within its header", location.pointer)
    return struct.unpack(f">{magic[3]}I", sizes)
