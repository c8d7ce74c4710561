"""The service's handle of a process on this machine, whether it is a child of this service's fork server or not."""

import asyncio
import contextlib
import errno
import os
import select
import signal
from collections.abc import Callable, Sequence

from trainyard.launcher.forking import kill
from trainyard.launcher.process_id import parsed, started_ticks
from trainyard.launcher.protocol import AlwaysHeard, RankEnd, Used
from trainyard.launcher.run_lines import Seat
from trainyard.launcher.watching import Meter, Watch

NO_PROCESS = frozenset({errno.ESRCH, errno.ENOENT, errno.EINVAL})
"""What `pidfd_open(2)` says where nothing has the number, or a thread of another process: ENOENT, and EINVAL before Linux 6.15."""
EXIT_TOLD_SECONDS = 5.0
"""A fork server that is alive says it at once, unless the machine stands still."""
LAST_EVENTS_SECONDS = 1.0


class ForkedProcess(AlwaysHeard):
    """A process and its group, as `protocol.Process` describes it. Made on the event loop."""

    def __init__(
        self,
        process_id: str,
        *,
        seat: Seat | None = None,
        watch: Watch | None = None,
        limit_mb: int | None = None,
        forget: Callable[["ForkedProcess"], None] = lambda _: None,
    ) -> None:
        named = parsed(process_id)
        if named is None:
            raise ValueError(f"{process_id!r} is no id of a forked process")
        self._id = process_id
        self._pid, self._ticks = named
        self._seat = seat
        self._forget = forget
        self._code: int | None = None
        self._cpu_seconds: float | None = None
        self._code_told = asyncio.Event()
        if seat is None:  # no child of this service's fork server
            self._code_told.set()
        self._gone = asyncio.Event()
        self._meter = Meter(self._pid, limit_mb)
        self._watch = watch
        self._pidfd = self._open()
        try:
            self._see_its_end()
        except BaseException:
            self._stop_watching()
            raise
        if watch:
            watch.add(self._meter, self.kill)

    @property
    def id(self) -> str:
        """What `find` knows it by."""
        return self._id

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return not self._gone.is_set()

    async def ended(self) -> int | None:
        """Wait until it is gone and its last events were heard. Its exit code; None where its fork server died first."""
        await self._gone.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_TOLD_SECONDS):
                await self._code_told.wait()
        if self._seat:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_EVENTS_SECONDS):
                    await self._seat.heard_out()
            self._seat.leave()
        return self._code

    @property
    def used(self) -> Used:
        """What was seen of it, and what the kernel counted."""
        looked = self._meter.peak_mb is not None or self._cpu_seconds is not None
        return Used(
            cpu_seconds=max(self._meter.cpu_seconds, self._cpu_seconds or 0.0) if looked else None,
            peak_memory_mb=self._meter.peak_mb,
            over_limit_mb=self._meter.over_mb,
        )

    @property
    def ranks(self) -> Sequence[RankEnd]:
        """None: it is one alone."""
        return ()

    def exit_told(self, code: int | None, cpu_seconds: float | None = None) -> None:
        """The fork server says how it ended and what it took, or None: nobody will."""
        if not self._code_told.is_set():
            self._code, self._cpu_seconds = code, cpu_seconds
            self._code_told.set()

    def ask_to_stop(self) -> None:
        """SIGTERM to its group, or to it alone while it has none yet."""
        if not self._signal_group(signal.SIGTERM):
            self._signal_leader(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to it and to its group."""
        self._signal_leader(signal.SIGKILL)
        self._signal_group(signal.SIGKILL)

    def look_away(self) -> None:
        """Let go of it as it is."""
        self._stop_watching()

    def release(self) -> None:
        """End what it left behind, and forget it."""
        self.kill()
        self._forget(self)
        self._forget = lambda _: None
        if self._seat:
            self._seat.leave()
        self._stop_watching()

    def let_go(self) -> None:
        """Its line would find no service: it ends now."""
        self.release()

    def _open(self) -> int:
        try:
            pidfd = os.pidfd_open(self._pid)
        except OSError as error:
            if error.errno in NO_PROCESS:
                return -1
            raise
        if started_ticks(self._pid) == self._ticks:
            return pidfd
        os.close(pidfd)  # the number has been given to another process
        return -1

    def _see_its_end(self) -> None:
        if self._pidfd < 0 or _ended(self._pidfd):
            self._gone.set()
        else:
            asyncio.get_running_loop().add_reader(self._pidfd, self._on_gone)

    def _on_gone(self) -> None:
        self._gone.set()
        asyncio.get_running_loop().remove_reader(self._pidfd)

    def _signal_leader(self, number: signal.Signals) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _signal_group(self, number: signal.Signals) -> bool:
        """Whether there is such a group. A number in use by another process is no group of ours any more."""
        if started_ticks(self._pid) not in {None, self._ticks}:
            return False
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _stop_watching(self) -> None:
        if self._watch:
            self._watch.remove(self._meter)
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._gone.set()


def end_just_forked(process_id: str) -> None:
    """End a process, and its group, of which the fork server told this moment, and which nobody will own.

    It needs no file of this process, which may have as many open as it may.
    """
    named = parsed(process_id)
    if named and started_ticks(named[0]) in {None, named[1]}:  # None where that cannot be read
        kill(named[0])


def _ended(pidfd: int) -> bool:
    """Whether the process has ended, reaped or not. Asked by `poll`: `select` takes no number of a file above 1,023."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
