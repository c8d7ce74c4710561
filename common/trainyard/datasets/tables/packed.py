"""The bytes of a CSV, however they are packed: by gzip, bzip2 or zstd, or as the one table in a zip."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from trainyard.datasets.sources.archives import MAGIC, archive
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location, readable
from trainyard.datasets.tables.parts import visible
from trainyard.errors import InvalidData

START_BYTES = (1 << 20, 1 << 22, 1 << 24)
"""Read at submit: the first that holds a header and a row."""
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
"""What a packed file begins with, and pyarrow's name for the way it is packed."""
MACOS = "__MACOSX/"
"""What macOS puts into a zip beside the files."""
ZIPPED = "a zip of one CSV"


def start(location: Location | WebFile) -> tuple[bytes, bool]:
    """The first bytes, unpacked, with a header and a row in their first half; and whether these are all.

    However many bytes the file would unpack to, no more are unpacked than are asked for. Raises `InvalidData`.
    """
    for limit in START_BYTES:
        data, complete = _first(location, limit)
        half = len(data) // 2
        if complete or max(data.count(b"\n", 0, half), data.count(b"\r", 0, half)) >= 2:
            return data, complete
    raise InvalidData(
        f"the header and the first row of {location.uri!r} are longer than {START_BYTES[-1] // 2_000_000} MB; save the table as Parquet",
        location.pointer,
    )


@contextmanager
def opened(location: Location) -> Iterator[Any]:
    """The file's bytes, unpacked. Raises `InvalidData`."""
    first = location.head(4)[0]
    if first.startswith(MAGIC):
        with _table_in(location) as stream:
            yield stream
        return
    with location.filesystem.open_input_stream(location.path, compression=_codec(first)) as stream:
        yield stream


def plain_bytes(location: Location) -> int | None:
    """The size of a file that is not packed; None for one that is."""
    first = location.head(4)[0]
    if first.startswith(MAGIC) or _codec(first):
        return None
    with location.seekable() as stream:
        return int(stream.size())


def check_web(location: WebFile) -> None:
    """That a file from the web begins as a zip does; its directory, at its end, is read in the run."""
    data, _ = location.head(len(MAGIC))
    if data != MAGIC:
        raise InvalidData(
            f"{location.uri!r} is not {ZIPPED}: it begins with {data!r}", location.pointer
        )


def _first(location: Location | WebFile, limit: int) -> tuple[bytes, bool]:
    data, complete = location.head(limit)
    if data.startswith(MAGIC):
        if isinstance(location, WebFile):
            raise InvalidData(
                f"{location.uri!r} is a zip; give it a name that ends in .zip", location.pointer
            )
        with _table_in(location) as stream:
            data = stream.read(limit + 1)
        return data[:limit], len(data) <= limit
    if codec := _codec(data):
        return _unpacked(location, data, limit, codec, complete=complete)
    return data, complete


def _codec(first: bytes) -> str | None:
    return next((codec for magic, codec in PACKED.items() if first.startswith(magic)), None)


def _unpacked(
    location: Location | WebFile, data: bytes, limit: int, codec: str, *, complete: bool
) -> tuple[bytes, bool]:
    """At most `limit` bytes unpacked, however many `data` would unpack to."""
    # Bytes that were cut unpack to at least half as many before the cut is met.
    limit = limit + 1 if complete else len(data) // 2
    parts: list[bytes] = []
    with (
        readable(location.uri, location.pointer),
        pa.CompressedInputStream(pa.BufferReader(data), codec) as stream,
    ):
        while limit > 0 and (part := stream.read(limit)):
            parts.append(part)
            limit -= len(part)
    return b"".join(parts), complete and limit > 0


@contextmanager
def _table_in(location: Location) -> Iterator[Any]:
    """The bytes of the one table in a zip."""
    with archive(location, ZIPPED) as zipped, zipped.open(_table(zipped, location)) as stream:
        yield stream


def _table(zipped: zipfile.ZipFile, location: Location) -> str:
    """The name of the one table: of the one file, or of the one that is called .csv or .tsv."""
    names = visible(
        info.filename
        for info in zipped.infolist()
        if not info.is_dir() and not info.filename.startswith(MACOS)
    )
    if "xl/workbook.xml" in names:
        raise InvalidData(
            f"{location.uri!r} is an Excel workbook; save its sheet as CSV", location.pointer
        )
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv"))] or names
    if len(tables) != 1:
        shown = ", ".join(map(repr, tables[:5])) or "no file"
        raise InvalidData(
            f"{location.uri!r} holds {shown}, and one table is read of a zip; unpack it, and name the file or its folder",
            location.pointer,
        )
    if tables[0].lower().endswith((".parquet", ".pq", ".xlsx", ".xls")):
        raise InvalidData(
            f"{location.uri!r} holds {tables[0]!r}, and of a zip CSV is read; unpack it, and name the file",
            location.pointer,
        )
    return tables[0]
