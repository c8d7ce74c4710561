"""How a run's process starts: the seam for other engines, and the one there is, a warm fork server."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog

from trainyard.contract import FieldError, ModelInfo
from trainyard.errors import Unavailable

LINE_LIMIT = 16 * 1024 * 1024
WARM_SECONDS = 60.0
log = structlog.get_logger()

Listener = Callable[[dict[str, Any]], None]


class Launcher(Protocol):
    """Starts a run's process and says how it ended."""

    models: Mapping[str, ModelInfo]
    broken: Mapping[str, str]

    async def start(self) -> None:
        """Begin to get warm."""
        ...

    async def stop(self) -> None:
        """End what is left."""
        ...

    def warm(self) -> bool:
        """Whether a run's process would start at once."""
        ...

    async def validate(self, model: str, params: Mapping[str, Any]) -> list[FieldError]:
        """What is wrong with the params. Raises `Unavailable` when nothing can tell now."""
        ...

    async def launch(self, job: dict[str, Any], listener: Listener) -> "Process":
        """Start a run's process; `listener` gets what it tells."""
        ...


class Process:
    """A run's process and its group. `code` is its exit code, None while unknown."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None
        self.told = asyncio.Event()
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._pidfd = -1

    async def ended(self) -> None:
        """Wait until the process is gone."""
        if self._pidfd >= 0:
            loop, gone = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(self._pidfd, gone.set)
            try:
                await gone.wait()
            finally:
                loop.remove_reader(self._pidfd)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.told.wait(), 1.0)

    def signal(self, number: signal.Signals) -> None:
        """Signal the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def release(self) -> None:
        """End what the run left behind."""
        self.signal(signal.SIGKILL)
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
