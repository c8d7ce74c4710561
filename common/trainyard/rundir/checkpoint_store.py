"""Checkpoints of a run on other hosts, in a place that all of them reach: a folder, or S3.

    PLACE/RUN_ID/00000003/          the files of a checkpoint
    PLACE/RUN_ID/00000003.whole     that all of them are there, and how large each is

A run's process trains with a folder of its own, as everywhere, and gives what that holds to the store after each
checkpoint. One that begins takes the newest from there. One process at a time gives; any number may take.
"""

import json
import logging
import posixpath
import shutil
from pathlib import Path
from typing import Any

from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.s3 import filesystem_for

S3 = "s3://"
PATIENCE_SECONDS = 30.0
WHOLE = ".whole"
COPIED_BYTES = 2**22
"""At a time."""
log = logging.getLogger(__name__)


class CheckpointStore:
    """That of one run. Every method raises OSError where the place cannot be reached."""

    def __init__(self, place: str, run_id: str, access: DataAccess, name: str = "") -> None:
        """`name` is for another store of the run, beside that of its checkpoints."""
        self._place = place
        # S3 takes no path with an empty part.
        self._root = posixpath.normpath(posixpath.join(place.removeprefix(S3), run_id, name))
        self._files = _filesystem(place, access)
        self._newest = 0

    def take(self, folder: Path) -> bool:
        """Put the newest whole checkpoint into the folder. False where there is none."""
        if not self._place.startswith(S3) and not Path(self._place).is_dir():
            # Nor is it made: others would not see it.
            raise NotADirectoryError(f"{self._place} is no folder here")
        numbers = self._numbers()
        self._newest = max(numbers, default=0)
        for number in sorted(numbers, reverse=True):
            if self._taken(number, folder):
                return True
            log.warning("checkpoint %d of %s is not whole, and is ignored", number, self._root)
        return False

    def give(self, folder: Path) -> None:
        """Keep what the folder holds as the newest, and drop what was kept before."""
        self._newest += 1
        base = self._base(self._newest)
        sizes = {}
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = file.relative_to(folder).as_posix()
            sizes[name] = file.stat().st_size
            self._copy_in(file, f"{base}/{name}")
        with self._out(base + WHOLE) as out:
            out.write(json.dumps(sizes).encode())
        for number in self._numbers():
            if number < self._newest:
                self._drop(number)

    def remove(self) -> None:
        """Drop all of it."""
        from pyarrow.fs import FileType

        if self._files.get_file_info(self._root).type == FileType.Directory:
            self._files.delete_dir(self._root)

    def _numbers(self) -> list[int]:
        """Of the checkpoints that are said to be whole."""
        from pyarrow.fs import FileSelector

        found = self._files.get_file_info(FileSelector(self._root, allow_not_found=True))
        names = [
            each.base_name.removesuffix(WHOLE) for each in found if each.base_name.endswith(WHOLE)
        ]
        return [int(name) for name in names if name.isdecimal()]

    def _taken(self, number: int, folder: Path) -> bool:
        """Whether all its files are there, and are in the folder now."""
        base = self._base(number)
        with self._in(base + WHOLE) as file:
            sizes = json.loads(file.read() or b"{}")
        there = self._files.get_file_info([f"{base}/{name}" for name in sizes])
        if not sizes or [each.size for each in there] != list(sizes.values()):
            return False
        for name in sizes:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._in(f"{base}/{name}") as source, path.open("wb") as out:
                shutil.copyfileobj(source, out, COPIED_BYTES)
        return True

    def _copy_in(self, file: Path, path: str) -> None:
        self._files.create_dir(posixpath.dirname(path), recursive=True)
        with file.open("rb") as source, self._out(path) as out:
            shutil.copyfileobj(source, out, COPIED_BYTES)

    def _in(self, path: str) -> Any:
        return self._files.open_input_stream(path, compression=None)

    def _out(self, path: str) -> Any:
        """As it is: by itself Arrow would compress what is called `.gz`."""
        return self._files.open_output_stream(path, compression=None)

    def _drop(self, number: int) -> None:
        """What says that it is whole goes first."""
        self._files.delete_file(self._base(number) + WHOLE)
        self._files.delete_dir(self._base(number))

    def _base(self, number: int) -> str:
        return f"{self._root}/{number:08d}"


def _filesystem(place: str, access: DataAccess) -> Any:
    from pyarrow.fs import LocalFileSystem

    return filesystem_for(access, PATIENCE_SECONDS) if place.startswith(S3) else LocalFileSystem()
