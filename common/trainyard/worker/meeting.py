"""Where the ranks of a run meet: through the service, which hands each what all have given."""

import itertools
import time
from collections.abc import Callable, Sequence

from trainyard.errors import RankMissing
from trainyard.launcher.messages import Job
from trainyard.worker.line import RunLine
from trainyard.world import World

LOOK_SECONDS = 0.25
"""How soon a rank that waits for the others notices that the run was asked to stop."""
START = "the start"


def world_of(job: Job, line: RunLine, heed: Callable[[], None] = lambda: None) -> World:
    """What the job's rank sees of the others. While it waits for them it calls `heed`, which may raise `Interrupted`."""
    if job.workers == 1:
        return World()
    numbers = itertools.count(1)

    def exchange(what: str, value: str) -> Sequence[str]:
        # Ranks that load their data, or come from a busy fork server, are waited for as long as the run may take.
        seconds = (
            job.submission.request.timeout_seconds if what == START else job.collective_seconds
        )
        key, until = f"{next(numbers)} {what}", time.monotonic() + seconds
        line.give(key, value)
        while (found := line.given(key, LOOK_SECONDS)) is None:
            heed()
            if time.monotonic() > until:
                raise RankMissing(f"it waited {seconds:g} s for all others to tell {what}")
        return found

    return World(
        rank=job.rank,
        size=job.workers,
        host=job.host,
        timeout_seconds=job.collective_seconds,
        exchange=exchange,
    )
