"""How a run's process comes to be: asked for until it is there, or the run stops, its time is up, or it goes elsewhere."""

import asyncio
from contextlib import suppress

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    RetryError,
    retry_if_exception_type,
    wait_exponential,
)

from trainyard.errors import HostLost, Unavailable
from trainyard.launcher.messages import Job
from trainyard.launcher.protocol import Launcher, Process
from trainyard.supervisor.decision import StopReason
from trainyard.supervisor.live_run import LiveRun

ELSEWHERE_SECONDS = 5.0
"""For how long a host is asked again that cannot start the run's process; then it is tried on another."""
SAME_AGAIN_SECONDS = 5.0
"""Before a run is started anew on hosts that could not start it before, as there were no others."""


async def launched(live: LiveRun, job: Job, launcher: Launcher) -> Process | None:
    """The run's process; None when the run was asked to stop before there was one, or its time was up.

    Raises `LaunchRefused`, and `HostLost` where the run is to choose its hosts anew: its state says which ones it avoids.
    """
    clock = asyncio.get_running_loop().time
    ends_at, moves_at = clock() + live.seconds_left, clock() + ELSEWHERE_SECONDS

    def stops() -> bool:
        if clock() >= ends_at and not live.stop_asked.is_set():
            live.ask_to_stop(StopReason.TIMED_OUT)
        return live.stop_asked.is_set()

    async def pause(seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(live.stop_asked.wait(), min(seconds, ends_at - clock()))

    def gives_up(_: RetryCallState) -> bool:
        return stops() or (bool(job.placement) and clock() >= moves_at)

    tries = AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=gives_up,
        wait=wait_exponential(0.2, max=5.0),
        sleep=pause,
    )
    if live.stop_asked.is_set():
        return None
    try:
        return await tries(launcher.launch, job, live.listener())
    except RetryError as error:
        lost = HostLost(str(error.last_attempt.exception()))
    except HostLost as error:
        lost = error
    where = {job.placement[rank].address for rank in lost.ranks if job.placement}
    if where <= live.state.avoids:
        await pause(SAME_AGAIN_SECONDS)
    live.state.avoids |= where
    if stops():
        return None
    raise lost
