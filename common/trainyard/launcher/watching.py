"""What the processes of runs use, looked at a few times a second, and the end of those that use more memory than they may.

Memory is the proportional set size: what a process alone has, and its share of what it has in common with others. So
the data that the trials of a search share counts once, and what the fork server has imported is not counted to each run
again. Pages of files are left out: the kernel takes them back when memory is short, and a table beyond memory is looked
at through them. The kernel needs milliseconds to add it up for a large process, so it is asked only where the resident
set, which costs nothing to read, has grown.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import structlog

LOOK_SECONDS = 0.2
MB = 2**20
WORTH_A_LOOK = 1.02
"""How much the memory has to grow, as a factor, before it is added up exactly again."""
KEPT = {"Pss_Anon", "Pss_Shmem"}
"""What the kernel cannot give to others, as `/proc/PID/smaps_rollup` names it since Linux 5.3."""
log = structlog.get_logger()


class Meter:
    """What one run's process, and all in its group, have used so far."""

    def __init__(self, pid: int, limit_mb: int | None) -> None:
        self.pid = pid
        self.limit_mb = limit_mb
        self.cpu_seconds = 0.0
        self.peak_mb: int | None = None
        """None until it was looked at."""
        self.over_mb: int | None = None
        """What was used when it was more than the limit."""
        self._own = self._private = self._mapped = 0
        """Bytes at the last exact look: what counts, and of the resident sets what is in no file, and all else."""

    def look(self, members: Sequence[psutil.Process]) -> None:
        """Look at the processes of the group; those that end meanwhile are left out."""
        private, mapped, seconds = 0, 0, 0.0
        for each in members:
            with suppress(psutil.Error), each.oneshot():
                times = each.cpu_times()
                seconds += sum(
                    times[:4]
                )  # its own, and those of its children that it has waited for
                memory = each.memory_info()
                private += memory.rss - memory.shared
                mapped += memory.shared
        self.cpu_seconds = max(self.cpu_seconds, seconds)
        grown = private - self._private + max(0, mapped - self._mapped)
        if private and self._is_news((self._own + grown) / MB):
            self._look_closely(members)
            self._private, self._mapped = private, mapped

    def _is_news(self, guess_mb: float) -> bool:
        if self.peak_mb is None or guess_mb > self.peak_mb * WORTH_A_LOOK:
            return True
        return self.limit_mb is not None and guess_mb > self.limit_mb

    def _look_closely(self, members: Sequence[psutil.Process]) -> None:
        own = 0
        for each in members:
            with suppress(psutil.Error):
                own += held_by(each)
        self._own = own
        used = own // MB
        self.peak_mb = max(used, self.peak_mb or 0)
        if self.limit_mb is not None and used > self.limit_mb:
            self.over_mb = used


def held_by(process: psutil.Process) -> int:
    """Bytes of the proportional set size without pages of files; all of it where the kernel does not tell them apart.

    Raises `psutil.Error`.
    """
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it is gone, or this kernel has no such file
        return int(process.memory_full_info().pss)
    found = dict(line.split(":", 1) for line in lines[1:])
    kinds = KEPT if found.keys() >= KEPT else {"Pss"}
    return sum(int(found[kind].split()[0]) for kind in kinds) * 1024


class Watch:
    """Looks at all meters together, in a thread. Used on the event loop alone."""

    def __init__(self, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._meters: dict[int, tuple[Meter, Callable[[], None]]] = {}
        self._some = asyncio.Event()

    def add(self, meter: Meter, over: Callable[[], None]) -> None:
        """Look at it from now on, and call `over` once it has used more than its limit."""
        self._meters[meter.pid] = meter, over
        self._some.set()

    def remove(self, meter: Meter) -> None:
        """Look at it no more."""
        if self._meters.get(meter.pid, (None,))[0] is meter:
            del self._meters[meter.pid]
        if not self._meters:
            self._some.clear()

    async def keep(self) -> None:
        """Look for as long as there is something to look at."""
        while True:
            await self._some.wait()
            try:
                await asyncio.to_thread(look_at, [meter for meter, _ in self._meters.values()])
            except (OSError, RuntimeError):  # no file, or no thread, to be had
                log.exception("what runs use cannot be read")
            self._tell()
            await asyncio.sleep(self._look_seconds)

    def _tell(self) -> None:
        for meter, over in list(self._meters.values()):
            if meter.over_mb is not None:
                over()


def look_at(meters: Iterable[Meter]) -> None:
    """Let each meter see the processes of its group."""
    groups: dict[int, list[psutil.Process]] = defaultdict(list)
    wanted = {meter.pid: meter for meter in meters}
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            group = os.getpgid(pid)
            if group in wanted:
                groups[group].append(psutil.Process(pid))
    for pid, meter in wanted.items():
        meter.look(groups[pid])
