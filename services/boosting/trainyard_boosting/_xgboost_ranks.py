"""XGBoost's own collective among the ranks of a run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from trainyard.world import World
from xgboost import collective
from xgboost.tracker import RabitTracker

RETRIES = 3


@contextmanager
def together(world: World) -> Iterator[None]:
    """Within it histograms, sketches and metrics are those of all ranks' rows; nothing changes for one that is alone.

    Rank 0 holds the tracker. After an error nothing is closed in order, as that would wait for a rank that may be gone:
    the process ends, and its launcher ends the others.
    """
    if world.alone:
        yield
        return
    seconds = max(1, int(world.timeout_seconds))
    tracker, told = None, ""
    if world.leads:
        tracker = RabitTracker(world.size, world.host, sortby="task", timeout=seconds)
        tracker.start()
        told = json.dumps(tracker.worker_args())
    where = json.loads(world.gather("where XGBoost's tracker is", told)[0])
    collective.init(
        **where, dmlc_task_id=f"{world.rank:05d}", dmlc_timeout=seconds, dmlc_retry=RETRIES
    )
    yield
    collective.finalize()
    if tracker is not None:
        tracker.wait_for(seconds)  # the others take their leave of it
