"""A file, or a folder with its files, in a pyarrow file system."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from trainyard.contract import Condition
from trainyard.disk_space import is_full
from trainyard.errors import DiskFull, InvalidData


@dataclass(frozen=True)
class Snapshot:
    """One version of a table whose folder holds the files of other versions too."""

    version: int
    schema: pa.Schema
    files: Mapping[str, Any]
    """Its files, relative to the folder and sorted; each with a `pyarrow.dataset.Expression` that has its partition's values."""


@dataclass(frozen=True)
class Location:
    """A file when `files` is None; else a folder, whose files `files`, those without a byte left out, are paths relative to `path`, sorted."""

    uri: str
    """As it may be shown: see `redaction.redacted`."""
    pointer: str
    filesystem: Any
    """A `pyarrow.fs.FileSystem`."""
    path: str
    files: tuple[str, ...] | None = None
    empty: tuple[str, ...] = ()
    """Those without a byte, likewise."""
    all_files: bool = True
    """False where a look at submit listed only some of the folder's files."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What opens the same store for others than pyarrow, by the names of Rust's `object_store`; keys are in AWS_* variables."""
    snapshot: Snapshot | None = None
    """Of a folder that is a table with versions, once it is known which one counts."""
    conditions: tuple[Condition, ...] = ()
    """What rows must meet to count."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Where the rows were asked for, for the profile, where that is no file."""
    warnings: tuple[str, ...] = ()
    """What a person should know of how they were come by."""

    def head(self, limit: int) -> tuple[bytes, bool]:
        """The first `limit` bytes of a file, and whether that is all of it."""
        with (
            readable(self.uri, self.pointer),
            self.filesystem.open_input_stream(self.path, compression=None) as stream,
        ):
            data = _filled(stream, limit + 1)
        return data[:limit], len(data) <= limit

    def seekable(self, file: str | None = None) -> Any:
        """An open `pyarrow.NativeFile` that can seek: this file, or a file of this folder."""
        with readable(self.uri, self.pointer):
            return self.filesystem.open_input_file(
                self.path if file is None else f"{self.path}/{file}"
            )


@contextmanager
def readable(uri: str, pointer: str) -> Iterator[None]:
    """Turn what reading raises into `InvalidData` at `pointer`; a full disk stays a `DiskFull`."""
    try:
        yield
    except FileNotFoundError as error:
        raise InvalidData(f"{uri!r} does not exist", pointer) from error
    except TimeoutError as error:
        raise InvalidData(
            f"{uri!r} did not answer in time; check the address, or try again", pointer
        ) from error
    except (OSError, EOFError) as error:
        if is_full(error):
            raise DiskFull from error
        raise InvalidData(f"{uri!r} cannot be read: {error}", pointer) from error


def _filled(stream: Any, size: int) -> bytes:
    """Up to `size` bytes; a short read is not the end."""
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
