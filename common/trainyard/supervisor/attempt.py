"""One attempt at a run: start its process, watch it, stop it when asked, say how it ended."""

import asyncio
import signal
from contextlib import suppress

from trainyard.contract import Reason
from trainyard.control_groups import oom_kills
from trainyard.errors import LaunchRefused, TrainyardError
from trainyard.launcher.messages import EXIT_INTERRUPTED, EXIT_NO_SPACE, Job
from trainyard.launcher.protocol import Launcher, Process, RankEnd
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome, State
from trainyard.signal_names import signal_name
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.decision import StopReason, ended_by
from trainyard.supervisor.launching import launched
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.ranks import given_up_on, of_all_ranks, outcomes_of

SENT_SIGTERM = {EXIT_INTERRUPTED, -signal.SIGTERM}
TOLD_TOO_SECONDS = 12.0
"""Whoever stops a whole machine tells each process: the service, which answers its callers first, stops so much later."""


class LeftAlone(TrainyardError):
    """The service stops, and the run's process goes on without it."""


async def attempt(
    live: LiveRun, job: Job, *, launcher: Launcher, blocking: Blocking, grace_seconds: float
) -> Outcome | None:
    """Train once. None when the process was stopped as asked and left no outcome. Raises OSError on a full disk.

    Raises `HostLost` where there was no process yet, and `LeftAlone`. Whatever else is raised, no process is left behind.
    """
    live.start(job.gpus * job.workers, job.placement)
    if job.process_id:  # on disk before the process is there: a later service must find it
        live.launched(job.process_id)
    state, began = live.for_disk(), _now()
    await blocking.run(lambda: _begin(live.folder, state))
    try:
        process = await launched(live, job, launcher)
        if process is None:
            return None
        return await _seen_to_its_end(live, job, process, launcher, blocking, grace_seconds)
    except LaunchRefused as error:
        return ended_by(Reason.CRASHED, error.detail)
    finally:
        live.process_is_over(_now() - began)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _begin(folder: RunFolder, state: State) -> None:
    """Make room for the attempt's outcome, and note that it was begun."""
    folder.forget_outcome()
    folder.write_state(state)


async def rest_of_attempt(
    live: LiveRun, job: Job, *, launcher: Launcher, blocking: Blocking, grace_seconds: float
) -> Outcome | None:
    """What is left of an attempt that an earlier service began. As `attempt`; its process is `live.state.process_id`."""
    live.goes_on(job.placement)
    process_id, began = live.state.process_id or "", _now()
    try:
        process = await launcher.take_up(process_id, live.folder.path, live.listener())
        if process is None:
            return _of_what_is_left(await blocking.once_it_can(live.folder.outcome))
        return await _seen_to_its_end(live, job, process, launcher, blocking, grace_seconds)
    finally:
        live.process_is_over(_now() - began)


async def save(live: LiveRun, blocking: Blocking) -> None:
    """Write what a later service must know of the run. Raises OSError."""
    state = live.for_disk()
    await blocking.run(lambda: live.folder.write_state(state))


async def _seen_to_its_end(  # noqa: PLR0913, PLR0917 - what an attempt is made of
    live: LiveRun,
    job: Job,
    process: Process,
    launcher: Launcher,
    blocking: Blocking,
    grace_seconds: float,
) -> Outcome | None:
    kills = oom_kills()
    try:
        live.launched(process.id)
        with suppress(
            OSError
        ):  # a later service does not find the process by it, which ends with this one
            await save(live, blocking)
        code = await _over(live, process, grace_seconds, keeps_runs=launcher.keeps_runs)
    except LeftAlone:
        process.let_go()
        raise
    except BaseException:
        process.release()
        raise
    live.process_used(process.used)
    process.release()
    outcome = await blocking.once_it_can(live.folder.outcome)
    if outcome is None and {code, *(end.code for end in process.ranks)} & SENT_SIGTERM:
        await _told_too(live)
    if live.stop_asked.is_set():
        return outcome
    killed = not job.placement and oom_kills() > kills
    one = _end_of(process, code)
    live.state.avoids = given_up_on(process.ranks or (one,), job.placement)
    if process.ranks:
        left = await blocking.once_it_can(lambda: outcomes_of(live.folder))
        return of_all_ranks(
            process.ranks, left, lambda end: _ended(end, job, killed=killed), job.placement
        )
    return outcome or _ended(one, job, killed=killed)


async def _told_too(live: LiveRun) -> None:
    """Wait a while for the service to stop, as its run's process was asked to by somebody else."""
    with suppress(TimeoutError):
        await asyncio.wait_for(live.stop_asked.wait(), TOLD_TOO_SECONDS)


def _end_of(process: Process, code: int | None) -> RankEnd:
    """How a process that trained alone ended, told as of one rank."""
    return RankEnd(
        0,
        code,
        over_limit_mb=process.used.over_limit_mb,
        for_memory=process.for_memory,
        lost_with=process.lost_with,
    )


def _ended(end: RankEnd, job: Job, *, killed: bool) -> Outcome:
    """The outcome of a process that left none; `killed`: whether the kernel killed one for memory here meanwhile."""
    if end.lost_with is not None:
        return _lost(end.lost_with, kept=bool(job.checkpoints))
    if end.cut_from is not None:
        return ended_by(
            Reason.CRASHED, f"its host did not reach that of another rank any more, {end.cut_from}"
        )
    if end.over_limit_mb is not None:
        return _over_its_limit(end.over_limit_mb, job)
    return _died(end.code, out_of_memory=killed or end.for_memory)


def _of_what_is_left(outcome: Outcome | None) -> Outcome:
    """The outcome of an attempt of which a process is gone with its host: what rank 0 left, unless it came of that."""
    if outcome and outcome.reason is not Reason.CRASHED:
        return outcome
    return ended_by(
        Reason.CRASHED, "the run's process, or that of one of its ranks, is gone with its host"
    )


async def _over(
    live: LiveRun, process: Process, grace_seconds: float, *, keeps_runs: bool
) -> int | None:
    """The exit code once the process is gone, by itself, or because it was asked to or had no time left."""
    over = asyncio.create_task(process.ended())
    asked = asyncio.create_task(live.stop_asked.wait())
    try:
        await asyncio.wait(
            {over, asked}, timeout=live.seconds_left, return_when=asyncio.FIRST_COMPLETED
        )
        if not over.done():
            if keeps_runs and live.stop_reason is StopReason.SERVICE_STOPS:
                raise LeftAlone
            if not live.stop_asked.is_set():
                live.ask_to_stop(StopReason.TIMED_OUT)
            process.ask_to_stop()
            await asyncio.wait({over}, timeout=grace_seconds)
            process.kill()
        return await over
    finally:
        asked.cancel()
        over.cancel()


def _lost(host: str, *, kept: bool) -> Outcome:
    """The outcome of a process that is gone with its host; `kept`: whether its checkpoints are elsewhere."""
    then = (
        "another attempt goes on from the newest checkpoint in TRAINYARD_CHECKPOINTS"
        if kept
        else "and with it what the run had trained there: another attempt starts anew"
    )
    return ended_by(Reason.CRASHED, f"the host {host} was lost, {then}")


def _over_its_limit(used_mb: int, job: Job) -> Outcome:
    """The outcome of a process that was ended for its memory."""
    return ended_by(
        Reason.OUT_OF_MEMORY,
        f"the run used {used_mb:,} MB of memory, and its limit was {job.memory_limit_mb:,} MB: ask for more as resources.memory_mb, or give it less data",
    )


def _died(code: int | None, *, out_of_memory: bool) -> Outcome:
    """The outcome of a process that left none."""
    if out_of_memory and code in (None, -signal.SIGKILL):
        return ended_by(
            Reason.OUT_OF_MEMORY,
            "the kernel ended the run's process for memory; give the service more, or the run less data",
        )
    if code is not None and code < 0:
        return ended_by(
            Reason.KILLED_BY_SIGNAL, f"the run's process was ended by {signal_name(-code)}"
        )
    if code == EXIT_NO_SPACE:
        return ended_by(
            Reason.DISK_FULL,
            "there is no space left on the work volume, not even for what the run says of its end",
        )
    if code == EXIT_INTERRUPTED:
        return ended_by(
            Reason.KILLED_BY_SIGNAL, "the run's process was sent SIGTERM, and not by its service"
        )
    said = "" if code is None else f", exit code {code}"
    return ended_by(Reason.CRASHED, f"the run's process ended without an outcome{said}")
