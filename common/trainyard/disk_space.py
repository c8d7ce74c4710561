"""What the operating system says where a disk has no room."""

import os
import shutil
from errno import EDQUOT, ENOSPC
from pathlib import Path

NO_SPACE = frozenset({ENOSPC, EDQUOT})
"""Of a volume that is full, and of one of which this user has no more."""


def is_full(error: BaseException) -> bool:
    """Whether the error says that a disk is full."""
    return isinstance(error, OSError) and error.errno in NO_SPACE


def lacks_room(folder: Path, least_mb: int) -> str:
    """That there is less free below the folder than that, in words; empty where there is as much."""
    free = shutil.disk_usage(folder).free
    return f"less than {least_mb} MB free below {folder}" if free < least_mb * 1_000_000 else ""


def whole(written: int | None, text: bytes) -> None:
    """Raise OSError where only the beginning was written: the last bytes of a disk are no error of write(2)."""
    if written != len(text):
        raise OSError(ENOSPC, os.strerror(ENOSPC))
