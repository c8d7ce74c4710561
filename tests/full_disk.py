"""A disk that is full for some of a service's writes."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from virtual_time import VirtualLoop


class Disk:
    """After `good` more writes of the service, `bad` fail; what a run's process writes goes through."""

    def __init__(self) -> None:
        self.good = 0
        self.bad = 0
        self.failed = 0
        self.loop: VirtualLoop | None = None

    def full(self, *, after: int, writes: int) -> None:
        self.good, self.bad = after, writes

    def write(self) -> None:
        """Raise if the disk is full now."""
        if self.loop is None or self.loop.in_executor != "disk" or not self.bad:
            return
        if self.good:
            self.good -= 1
            return
        self.bad -= 1
        self.failed += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Between the service and its real disk: at each folder, each file opened to write, and each fsync."""

        def guarded(real: Any, writes: Any = lambda *_args, **_kwargs: True) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                if writes(*args, **kwargs):
                    self.write()
                return real(*args, **kwargs)

            return call

        def fsync(_: int) -> None:
            self.write()  # to wait for the real disk a thousand times shows nothing

        with (
            patch.object(Path, "open", guarded(Path.open, _to_write)),
            patch.object(Path, "touch", guarded(Path.touch)),
            patch.object(Path, "mkdir", guarded(Path.mkdir)),
            patch.object(os, "fsync", fsync),
        ):
            yield


def _to_write(_: Path, mode: str = "r", *_args: Any, **_kwargs: Any) -> bool:
    return mode != "r" and "b" not in mode
