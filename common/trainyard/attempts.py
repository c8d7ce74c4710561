"""One attempt at a run: start its process, watch it, stop it when asked, say how it ended."""

import asyncio
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainyard.contract import Phase, Reason, RunStatus
from trainyard.errors import Unavailable
from trainyard.folder import Outcome
from trainyard.launcher import Launcher, Process
from trainyard.live import LiveRun

CGROUP_EVENTS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))
"""Where the kernel counts, in version 2 and in version 1 of its control groups."""


async def attempt(live: LiveRun, *, launcher: Launcher, job: dict[str, Any], grace_seconds: float) -> Outcome | None:
    """Train once. None when the process was stopped with no reason of the run's own: the service is leaving."""
    kills = oom_kills()
    process = await _start(live, launcher, job)
    if process is None:
        return _ended(live.stop_reason)
    try:
        await _until_over(live, process, grace_seconds)
    finally:
        process.release()
    outcome = live.folder.outcome()
    if outcome is not None:
        return outcome
    if live.stop_asked.is_set():
        return _ended(live.stop_reason)
    return _ended(*_died(process.code, oom_kills() > kills))


def oom_kills() -> int:
    """Processes of this container that the kernel killed for memory so far; 0 where it does not say."""
    for events in CGROUP_EVENTS:
        with suppress(OSError, KeyError, ValueError):
            counts = dict(line.split() for line in events.read_text().splitlines())
            return int(counts["oom_kill"])
    return 0


def process_started(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None


async def _start(live: LiveRun, launcher: Launcher, job: dict[str, Any]) -> Process | None:
    while not live.stop_asked.is_set():
        live.folder.forget_outcome()
        live.enter(RunStatus.RUNNING, Phase.STARTING, started_at=live.run.started_at or datetime.now(UTC))
        with suppress(Unavailable):
            process = await launcher.launch(job, live.tell)
            live.state.pid, live.state.process_started = process.pid, process_started(process.pid)
            live.save()
            return process
    return None


async def _until_over(live: LiveRun, process: Process, grace_seconds: float) -> None:
    over = asyncio.create_task(process.ended())
    asked = asyncio.create_task(live.stop_asked.wait())
    try:
        await asyncio.wait({over, asked}, timeout=live.submission.request.timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            return
        if not live.stop_asked.is_set():
            live.stop(Reason.TIMED_OUT)
        process.signal(signal.SIGTERM)
        await asyncio.wait({over}, timeout=grace_seconds)
        process.signal(signal.SIGKILL)
        await over
    finally:
        asked.cancel()
        over.cancel()


def _died(code: int | None, out_of_memory: bool) -> tuple[Reason, str]:
    if out_of_memory:
        return Reason.OUT_OF_MEMORY, "the kernel ended the run's process for memory; give the service more, or the run less data"
    if code is not None and code < 0:
        return Reason.KILLED_BY_SIGNAL, f"the run's process was ended by {signal.Signals(-code).name}"
    return Reason.CRASHED, "the run's process ended without an outcome" + (f", exit code {code}" if code is not None else "")


def _ended(reason: Reason | None, message: str | None = None) -> Outcome | None:
    if reason is None:
        return None
    said = {Reason.CANCELLED: "cancelled", Reason.TIMED_OUT: "the run took longer than its timeout_seconds"}
    return Outcome(status=reason.status, reason=reason, message=message or said.get(reason), ended_at=datetime.now(UTC))
