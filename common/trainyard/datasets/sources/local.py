"""Paths below the data roots; nothing outside them, whatever the path says or a link points at."""

import os
from itertools import islice
from pathlib import Path

from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.location import Location
from trainyard.datasets.sources.redaction import redacted
from trainyard.datasets.sources.walking import MOST_ENTRIES, TooManyEntries, is_utf8, walk
from trainyard.errors import InvalidData
from trainyard.suggestions import MOST_COMPARED, suggestion


def below_roots(uri: str, access: DataAccess, pointer: str) -> Location:
    """The file or folder that `uri`, relative to a data root, names; the first root that has it counts.

    Raises `InvalidData` for no roots, a path that leaves them, a missing or a special file.
    """
    shown = redacted(uri)
    if not access.roots:
        raise InvalidData(
            f"{shown!r} is a path, and this service has no data roots; set TRAINYARD_DATA_ROOTS, or give s3:// or https://",
            pointer,
        )
    inside = False
    for root in (each.resolve() for each in access.roots):
        path = _resolved(root / uri, shown, pointer)
        if path.is_relative_to(root):
            inside = True
            if path.exists():
                return local(path, root, shown, pointer)
    if not inside:
        raise InvalidData(
            f"{shown!r} lies outside the data roots; give a path relative to one of them", pointer
        )
    raise InvalidData(f"{shown!r} does not exist below the data roots{_near(uri, access)}", pointer)


def local(path: Path, root: Path, uri: str, pointer: str) -> Location:
    """The resolved `path`, checked to be a plain file, or a folder whose files all lie below `root`."""
    from pyarrow.fs import LocalFileSystem

    if path.is_file():
        return Location(uri, pointer, LocalFileSystem(), str(path))
    if not path.is_dir():
        raise InvalidData(f"{uri!r} is neither a file nor a folder", pointer)
    files, empty = _files(path, root, uri, pointer)
    return Location(uri, pointer, LocalFileSystem(), str(path), files, empty)


def _files(
    path: Path, root: Path, uri: str, pointer: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files below the folder `path`, relative to it and sorted: those that hold something, and those without a byte."""
    found: list[str] = []
    empty: list[str] = []
    try:
        for folder, _, names in walk(path):
            for file in map(folder.joinpath, names):
                if file.is_symlink() and not file.resolve().is_relative_to(root):
                    raise InvalidData(
                        f"{uri!r} holds {str(file.relative_to(path))!r}, which points outside the data roots",
                        pointer,
                    )
                kind = found if file.stat().st_size else empty
                kind.append(os.path.relpath(file, path))
    except TooManyEntries as error:
        raise InvalidData(
            f"{uri!r} holds more than {MOST_ENTRIES:,} files and folders; name the folder of one table, or join its files into fewer",
            pointer,
        ) from error
    except OSError as error:
        raise InvalidData(f"{uri!r} cannot be read: {error.strerror}", pointer) from error
    return tuple(sorted(found)), tuple(sorted(empty))


def _resolved(path: Path, uri: str, pointer: str) -> Path:
    try:
        resolved = path.resolve()
        resolved.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidData(f"{uri!r} is not a usable path: {error}", pointer) from error
    return resolved


def _near(uri: str, access: DataAccess) -> str:
    """A hint with the nearest name in the folder that the path asks for, or an empty string."""
    for root in access.roots:
        folder = (root / uri).parent
        if folder.is_dir() and folder.resolve().is_relative_to(root.resolve()):
            with os.scandir(folder) as entries:
                names = sorted(
                    each.name
                    for each in islice(entries, MOST_COMPARED)
                    if is_utf8(each.name) and not each.name.startswith(".")
                )
            if names:
                return f"; {suggestion(Path(uri).name, names, otherwise='that folder holds')}"
    return ""
