"""Runs and what they have, as `GET /capacity` and a waiting run's sentence tell of them."""

from collections.abc import Iterable
from typing import Any

from trainyard.contract import Share
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.room import Allotment, Need

MOST_NAMED = 3


def had_by(live: LiveRun, has: Allotment) -> Share:
    """What a run has."""
    gpus = has.gpus or ()
    own = {"cores": list(has.cores), "gpus": len(gpus), "devices": list(gpus)}
    return _share(live, workers=has.workers, cpus=has.cpus, memory_mb=has.memory_mb, **own)


def waited_for(live: LiveRun, need: Need) -> Share:
    """What a run needs."""
    needs = {"cpus": need.cpus, "memory_mb": need.memory_mb, "gpus": need.gpus or 0}
    return _share(live, workers=need.workers, **needs)


def _share(live: LiveRun, **has: Any) -> Share:
    told = (
        "run_id",
        "model",
        "submitted_by",
        "team",
        "submitted_at",
        "queue_position",
        "waits_for",
    )
    return Share(**{name: getattr(live.run, name) for name in told}, **has)


def told_of(running: Iterable[LiveRun]) -> str:
    """Who has what somebody waits for."""
    they = [named(live) for live in running]
    if not they:
        return "nothing runs"
    more = f" and {len(they) - MOST_NAMED} more" if len(they) > MOST_NAMED else ""
    return f"{', '.join(they[:MOST_NAMED])}{more} run{'s' * (len(they) == 1)}"


def named(live: LiveRun) -> str:
    """A run, short, and whose it is."""
    whose = live.run.submitted_by
    return f"{live.run_id[:8]}{f' of {whose}' if whose else ''}"
