"""Promotions of one registered model take turns."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def model_lock(name: str, folder: Path) -> Iterator[None]:
    """Hold the registered model's lock among all processes that share `folder`, which is made if need be.

    The kernel frees the lock of a process that dies. The file is named by a digest, because a registered
    model's name may hold any character; it stays, because removing it would let two processes lock two files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock"
    with FileLock(file, fallback_to_soft=False):
        yield
