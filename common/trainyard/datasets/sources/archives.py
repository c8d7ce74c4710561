"""A zip in a data source, whose directory is read without believing what it says of its size."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trainyard.datasets.sources.location import Location, readable
from trainyard.errors import InvalidData

MAGIC = b"PK\x03\x04"
DIRECTORY_BYTES = 1 << 20


@contextmanager
def archive(location: Location, due: str) -> Iterator[zipfile.ZipFile]:
    """The zip that a file is. Raises `InvalidData`, which says what is `due`, for one that is damaged or locked."""
    with readable(location.uri, location.pointer), location.seekable() as stream:
        try:
            file: Any = _FrugalFile(stream, location)
            with zipfile.ZipFile(file) as opened:
                file.opening = False
                yield opened
        except (
            ValueError,
            RuntimeError,  # encrypted
            NotImplementedError,  # packed in another way
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise InvalidData(
                f"{location.uri!r} is not {due}: {error}", location.pointer
            ) from error


class _FrugalFile:
    """A file that refuses to be read in pieces larger than `DIRECTORY_BYTES` while `opening`.

    zipfile reads the whole directory at once, however large the file says it is.
    """

    def __init__(self, stream: Any, location: Location) -> None:
        self._stream = stream
        self._location = location
        self.opening = True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = self._stream.size() - self._stream.tell()
        if self.opening and size > DIRECTORY_BYTES:
            raise InvalidData(
                f"the directory of {self._location.uri!r} takes {size:,} bytes, and at most {DIRECTORY_BYTES:,} are read; zip what is needed alone",
                self._location.pointer,
            )
        return bytes(self._stream.read(size))

    def seek(self, position: int, whence: int = 0) -> int:
        return int(self._stream.seek(position, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def seekable(self) -> bool:
        return True
