"""The IDX format of MNIST, raw or gzipped: two zero bytes, a type, the number of dimensions, sizes, values.

Described at https://yann.lecun.com/exdb/mnist/ (file formats). Only unsigned bytes, type 8, are read.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.datasets.sources.location import Location, readable
from trainyard.datasets.sources.memory import DEFLATE_RATIO, check_fits
from trainyard.errors import InvalidData

UNSIGNED_BYTE = 8


@dataclass(frozen=True)
class _Unpacked:
    """A file's bytes as they are read, and how many there are, or at most may be."""

    stream: Any
    most_bytes: int
    packed: bool


def begins(location: Location, file: str) -> bool:
    """Whether a file begins as IDX does, with any type of values."""
    with readable(f"{location.uri}/{file}", location.pointer), location.seekable(file) as raw:
        start = raw.read(2)
        raw.seek(0)
        if start == b"\x1f\x8b":
            try:
                start = gzip.GzipFile(fileobj=raw).read(2)
            except zlib.error:
                return False
        return bool(start == b"\0\0")


def shape(location: Location, file: str) -> tuple[int, ...]:
    """The sizes in a file's header; reads no further. Raises `InvalidData` for another format, or an impossible size."""
    with _unpacked(location, file) as unpacked:
        return _header(unpacked, location, file)


def array(location: Location, file: str) -> npt.NDArray[np.uint8]:
    """All values, uint8 in the header's shape. Raises `InvalidData` for another format, or too few or many bytes."""
    with _unpacked(location, file) as unpacked:
        sizes = _header(unpacked, location, file)
        values = math.prod(sizes)
        data = unpacked.stream.read(values + 1)
    if len(data) != values:
        held = f"more than {values:,}" if len(data) > values else str(len(data))
        raise InvalidData(
            f"{file!r} in {location.uri!r} holds {held} values, and its header says {sizes}: {values}",
            location.pointer,
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(sizes)


@contextmanager
def _unpacked(location: Location, file: str) -> Iterator[_Unpacked]:
    with readable(f"{location.uri}/{file}", location.pointer), location.seekable(file) as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            if packed:
                yield _Unpacked(gzip.GzipFile(fileobj=raw), raw.size() * DEFLATE_RATIO, packed)
            else:
                yield _Unpacked(raw, raw.size(), packed)
        except zlib.error as error:
            raise InvalidData(
                f"{file!r} in {location.uri!r} is damaged: {error}", location.pointer
            ) from error


def _header(unpacked: _Unpacked, location: Location, file: str) -> tuple[int, ...]:
    """The sizes, checked to be possible in a file of this size and in this machine's memory."""
    magic = unpacked.stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTE:
        raise InvalidData(
            f"{file!r} in {location.uri!r} is not IDX: it begins with 0x{magic.hex()}, and 0x00000803 (images) or 0x00000801 (labels) is right",
            location.pointer,
        )
    sizes = unpacked.stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise InvalidData(f"{file!r} in {location.uri!r} ends within its header", location.pointer)
    shape = struct.unpack(f">{magic[3]}I", sizes)
    values, held = math.prod(shape), unpacked.most_bytes - len(magic) - len(sizes)
    if values > held or (values != held and not unpacked.packed):
        most = "at most " if unpacked.packed else ""
        raise InvalidData(
            f"{file!r} in {location.uri!r} holds {most}{held} values, and its header says {shape}: {values}; copy the file again",
            location.pointer,
        )
    check_fits(values, f"{file!r} in {location.uri!r}", location.pointer)
    return shape
