"""A launcher's folder for its sockets, among the temporary files: a short path, as sockets need one.

It goes with the launcher. What one that was killed has left, the next launcher of this machine removes: a folder whose
lock nobody holds, and links to the temporary folders of runs that are not there any more.
"""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "trainyard-"
LOCK = "held"
LEAST_AGE_SECONDS = 60.0
"""Of a folder that is removed: one that is being made has no lock yet."""


class OwnFolder:
    """The folder, and the lock on it, which the kernel takes back however this process ends."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX)
        self.path = Path(self._folder.name)
        self._lock = (self.path / LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove it."""
        self._folder.cleanup()
        self._lock.close()


def clear_leftovers(root: Path | None = None) -> None:
    """Remove what was left in the folder for temporary files, as far as this user may."""
    for path in (root or Path(tempfile.gettempdir())).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if path.lstat().st_uid != os.getuid():
                continue
            if path.is_symlink():
                _unlink_where_it_leads_nowhere(path)
            elif _is_left(path):
                shutil.rmtree(path)


def _unlink_where_it_leads_nowhere(link: Path) -> None:
    if not link.exists():
        link.unlink()


def _is_left(folder: Path) -> bool:
    """Whether it was a launcher's, which is gone. Raises OSError for what has no lock at all."""
    with (folder / LOCK).open() as lock:
        if time.time() - (folder / LOCK).stat().st_mtime < LEAST_AGE_SECONDS:
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
