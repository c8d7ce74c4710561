"""Paths below the data roots; nothing outside them, whatever the path says or a link points at."""

import difflib
from pathlib import Path

from trainyard.datasets.location import Location
from trainyard.errors import InvalidData
from trainyard.settings import DataAccess


def below_roots(uri: str, access: DataAccess, pointer: str) -> Location:
    """The file or folder that `uri`, relative to a data root, names; the first root that has it counts.

    Raises `InvalidData` for no roots, a path that leaves them, a missing or a special file.
    """
    if not access.roots:
        raise InvalidData(f"{uri!r} is a path, and this service has no data roots; set TRAINYARD_DATA_ROOTS, or give s3:// or https://", pointer)
    inside = False
    for root in (each.resolve() for each in access.roots):
        path = _resolved(root / uri, uri, pointer)
        if path.is_relative_to(root):
            inside = True
            if path.exists():
                return local(path, root, uri, pointer)
    if not inside:
        raise InvalidData(f"{uri!r} lies outside the data roots; give a path relative to one of them", pointer)
    raise InvalidData(f"{uri!r} does not exist below the data roots{_near(uri, access)}", pointer)


def local(path: Path, root: Path, uri: str, pointer: str) -> Location:
    """The resolved `path`, checked to be a plain file, or a folder whose files all lie below `root`."""
    from pyarrow.fs import LocalFileSystem

    if path.is_file():
        return Location(uri, pointer, LocalFileSystem(), str(path))
    if not path.is_dir():
        raise InvalidData(f"{uri!r} is neither a file nor a folder", pointer)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        if not file.resolve().is_relative_to(root):
            raise InvalidData(f"{uri!r} holds {str(file.relative_to(path))!r}, which points outside the data roots", pointer)
    return Location(uri, pointer, LocalFileSystem(), str(path), tuple(str(file.relative_to(path)) for file in files))


def _resolved(path: Path, uri: str, pointer: str) -> Path:
    try:
        resolved = path.resolve()
        resolved.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidData(f"{uri!r} is not a usable path: {error}", pointer) from error
    return resolved


def _near(uri: str, access: DataAccess) -> str:
    """A hint with the nearest name in the folder the path asks for, or an empty string."""
    for root in access.roots:
        folder = (root / uri).parent
        if folder.is_dir() and folder.resolve().is_relative_to(root.resolve()):
            near = difflib.get_close_matches(Path(uri).name, [file.name for file in folder.iterdir()], n=1)
            if near:
                return f"; did you mean {str(Path(uri).with_name(near[0]))!r}?"
    return ""
