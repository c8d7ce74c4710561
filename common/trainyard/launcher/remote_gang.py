"""The ranks of one run on several hosts: begun all or none, and taken up again all or none."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from trainyard.errors import HostLost, Unavailable
from trainyard.launcher.messages import Job
from trainyard.launcher.remote_process import RemoteProcess

TOGETHER_SECONDS = 60.0
"""What all hosts may take to start their ranks, with what waits there before them."""


async def begin_all(members: Sequence[RemoteProcess], jobs: Sequence[Job]) -> None:
    """Have each host start its rank, which has this job. Raises `LaunchRefused`, and `HostLost` where it may work another time.

    Then some may have been started. Whether rank 0 is, which may write to MLflow, is known for certain by then.
    """
    starts = [
        asyncio.create_task(member.begin(job)) for member, job in zip(members, jobs, strict=True)
    ]
    try:
        _, late = await asyncio.wait(
            starts, timeout=TOGETHER_SECONDS, return_when=asyncio.FIRST_EXCEPTION
        )
        if late:
            await asyncio.wait(starts[:1])
        errors = {rank: start.exception() for rank, start in enumerate(starts) if start.done()}
    finally:
        for start in starts:
            start.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*starts, return_exceptions=True)
    _raise_worst(
        {rank: error for rank, error in errors.items() if error},
        late=[rank for rank, start in enumerate(starts) if start in late],
    )


def _raise_worst(errors: Mapping[int, BaseException], *, late: Sequence[int]) -> None:
    """What keeps all from training together: by the rank that it is of, and those that took too long."""
    for error in errors.values():
        if not isinstance(error, HostLost | Unavailable):
            raise error
    if errors:
        first = next(iter(errors.values()))
        raise HostLost(str(first), [*errors]) from first
    if late:
        raise HostLost(f"not all hosts started their ranks within {TOGETHER_SECONDS:g} s", late)


async def all_there(members: Sequence[RemoteProcess]) -> bool:
    """Whether each host has its rank. Where one has not, those that are there are ended."""
    found = await asyncio.gather(*(member.is_there() for member in members))
    if all(found):
        return True
    for member, there in zip(members, found, strict=True):
        if there:
            member.follow(anew=True)
            member.kill()
            await member.ended()
        member.release()
    return False
