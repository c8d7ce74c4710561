"""One attempt at a run: start its process, watch it, stop it when asked, say how it ended."""

import asyncio
import signal
import time
from contextlib import suppress
from pathlib import Path

from tenacity import (
    AsyncRetrying,
    RetryError,
    retry_if_exception_type,
    wait_exponential,
)

from trainyard.contract import Reason
from trainyard.errors import LaunchRefused, Unavailable
from trainyard.launcher.messages import Job
from trainyard.launcher.protocol import Launcher, Process
from trainyard.rundir.records import Outcome
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.decision import StopReason, ended_by
from trainyard.supervisor.live_run import LiveRun

CGROUP_EVENTS = (
    Path("/sys/fs/cgroup/memory.events"),
    Path("/sys/fs/cgroup/memory/memory.oom_control"),
)
"""Where the kernel counts, in version 2 and in version 1 of its control groups."""


async def attempt(
    live: LiveRun, job: Job, *, launcher: Launcher, blocking: Blocking, grace_seconds: float
) -> Outcome | None:
    """Train once. None when the process was stopped as asked and left no outcome. Raises OSError on a full disk.

    Whatever is raised, no process is left behind.
    """
    live.start()
    await blocking.run(live.folder.forget_outcome)
    await save(live, blocking)
    kills, began = oom_kills(), time.monotonic()
    try:
        return await _trained(live, job, launcher, blocking, grace_seconds, kills)
    except LaunchRefused as error:
        return ended_by(Reason.CRASHED, error.detail)
    finally:
        live.process_is_over(time.monotonic() - began)


async def save(live: LiveRun, blocking: Blocking) -> None:
    """Write what a later service must know of the run. Raises OSError."""
    state = live.for_disk()
    await blocking.run(lambda: live.folder.write_state(state))


def oom_kills() -> int:
    """Processes of this container that the kernel killed for memory so far; 0 where it does not say."""
    for events in CGROUP_EVENTS:
        with suppress(OSError, KeyError, ValueError):
            counts = dict(line.split() for line in events.read_text().splitlines())
            return int(counts["oom_kill"])
    return 0


async def _trained(  # noqa: PLR0913, PLR0917 - what an attempt is made of
    live: LiveRun,
    job: Job,
    launcher: Launcher,
    blocking: Blocking,
    grace_seconds: float,
    kills: int,
) -> Outcome | None:
    process = await _launched(live, job, launcher)
    if process is None:
        return None
    try:
        live.launched(process.id)
        with suppress(
            OSError
        ):  # a later service does not find the process by it, which ends with this one
            await save(live, blocking)
        code = await _over(live, process, grace_seconds)
    finally:
        process.release()
    outcome = await blocking.run(live.folder.outcome)
    if outcome is not None or live.stop_asked.is_set():
        return outcome
    return _died(code, out_of_memory=oom_kills() > kills)


async def _launched(live: LiveRun, job: Job, launcher: Launcher) -> Process | None:
    """The run's process; None when the run was asked to stop before there was one."""

    async def pause(seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(live.stop_asked.wait(), seconds)

    tries = AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=lambda _: live.stop_asked.is_set(),
        wait=wait_exponential(0.2, max=5.0),
        sleep=pause,
    )
    if live.stop_asked.is_set():
        return None
    try:
        return await tries(launcher.launch, job, live.listener())
    except RetryError:
        return None


async def _over(live: LiveRun, process: Process, grace_seconds: float) -> int | None:
    """The exit code once the process is gone, by itself, or because it was asked to or had no time left."""
    over = asyncio.create_task(process.ended())
    asked = asyncio.create_task(live.stop_asked.wait())
    try:
        await asyncio.wait(
            {over, asked}, timeout=live.seconds_left, return_when=asyncio.FIRST_COMPLETED
        )
        if not over.done():
            if not live.stop_asked.is_set():
                live.ask_to_stop(StopReason.TIMED_OUT)
            process.ask_to_stop()
            await asyncio.wait({over}, timeout=grace_seconds)
            process.kill()
        return await over
    finally:
        asked.cancel()
        over.cancel()


def _died(code: int | None, *, out_of_memory: bool) -> Outcome:
    """The outcome of a process that left none."""
    if out_of_memory and code in (None, -signal.SIGKILL):
        return ended_by(
            Reason.OUT_OF_MEMORY,
            "the kernel ended the run's process for memory; give the service more, or the run less data",
        )
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return ended_by(Reason.KILLED_BY_SIGNAL, f"the run's process was ended by {name}")
    said = "" if code is None else f", exit code {code}"
    return ended_by(Reason.CRASHED, f"the run's process ended without an outcome{said}")
