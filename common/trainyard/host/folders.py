"""Where the runs of other services' hosts have their folders on this host, and what an earlier one left there."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from trainyard.host.lease_guard import PROCESS, noted
from trainyard.launcher.protocol import Process
from trainyard.rundir.folder import RunFolder

OWNER_ALONE = 0o700
"""As those of a service's runs."""


class HostFolders:
    """A folder a node of the cluster, which is locked for as long as the node's actor lives, and a folder a process in it."""

    def __init__(self, root: Path, node: str) -> None:
        self._root = root
        self._own = root / node
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=OWNER_ALONE, exist_ok=True)
        self._own.mkdir(exist_ok=True)
        self._lock = _lock(self._own)

    async def take(self, find: Callable[[str], Awaitable[Process | None]]) -> None:
        """Take this node's folder, and end and remove what earlier actors of this host left. Raises `Timeout`."""
        self._lock.acquire(timeout=0)
        # Another host may have taken it for one that an earlier actor left.
        self._own.mkdir(exist_ok=True)
        await self._clear(self._own, find)
        for folder in self._root.glob("*/"):
            lock = _lock(folder)
            if folder == self._own:
                continue
            with suppress(Timeout), lock.acquire(timeout=0):
                await self._clear(folder, find)
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    @property
    def own(self) -> Path:
        """This node's."""
        return self._own

    def of(self, process_id: str) -> RunFolder:
        """The folder of one process, which need not be there."""
        return RunFolder(self._own / process_id.rpartition(":")[2])

    def note(self, process_id: str, forked: str) -> None:
        """Note by what id the process is known on this host, for a later actor."""
        with suppress(OSError):  # its run was released meanwhile, and its folder is gone
            (self.of(process_id).path / PROCESS).write_text(forked)

    async def _clear(self, folder: Path, find: Callable[[str], Awaitable[Process | None]]) -> None:
        for process_id in noted(folder):
            process = await find(process_id)
            if process:
                process.kill()
                await process.ended()
                process.release()
        await asyncio.to_thread(_empty, folder)


def _lock(folder: Path) -> FileLock:
    return FileLock(folder.with_suffix(".lock"), is_singleton=False)


def _empty(folder: Path) -> None:
    for run in folder.glob("*/"):
        shutil.rmtree(run, ignore_errors=True)
