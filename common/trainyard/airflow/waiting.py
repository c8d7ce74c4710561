"""Submitting and waiting with patience: a service that is away is waited for, never taken for a failed run."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.stop import stop_base
from tenacity.wait import wait_exponential_jitter

from trainyard.client import AsyncTrainyardClient, may_pass
from trainyard.contract import Run

T = TypeVar("T")
Say = Callable[[str], None]

LONGEST_PAUSE_SECONDS = 10.0
SHORTEST_HOLD_SECONDS = 1.0


async def submit(
    client: AsyncTrainyardClient, request: Mapping[str, Any], *, key: str, patience_seconds: float, say: Say
) -> Run:
    """The accepted run. Raises what the last attempt did, once the service was away for so long or refuses."""
    return await _patiently(partial(client.submit, request, idempotency_key=key), patience_seconds, say)


async def wait(  # noqa: PLR0913 - each by name
    client: AsyncTrainyardClient, run_id: str, *, wait_seconds: float, patience_seconds: float,
    deadline: float | None, say: Say,
) -> Run:
    """The run once it ended, or as it stands at `deadline` (seconds since 1970).

    Each question is held by the service for `wait_seconds` unless the run ends, so 30 asks twice a minute
    and still knows the end at once. Raises what the last attempt did, after `patience_seconds` of silence.
    """
    told = ""
    while True:
        asked = time.monotonic()
        left = wait_seconds if deadline is None else min(wait_seconds, deadline - time.time())
        held = max(0.0, left)
        run = await _patiently(partial(client.get, run_id, wait_seconds=held), patience_seconds, say)
        if run.status.ended or (deadline is not None and time.time() >= deadline):
            return run
        if (line := progress(run)) != told:
            say(line)
            told = line
        # A service that is stopping answers at once.
        await asyncio.sleep(max(0.0, min(SHORTEST_HOLD_SECONDS, held) - (time.monotonic() - asked)))


async def _patiently(ask: Callable[[], Awaitable[T]], patience_seconds: float, say: Say) -> T:
    def on_failure(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome:
            say(f"{state.outcome.exception()}; waiting for it")

    retrying = AsyncRetrying(
        retry=retry_if_exception(may_pass), stop=_Silence(patience_seconds),
        wait=wait_exponential_jitter(initial=0.5, max=LONGEST_PAUSE_SECONDS), before_sleep=on_failure, reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            return await ask()
    raise AssertionError  # the last attempt gave an answer or raised


class _Silence(stop_base):
    """Stop once there was no answer for so long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, retry_state: RetryCallState) -> bool:
        return (retry_state.seconds_since_start or 0.0) >= self._seconds


def progress(run: Run) -> str:
    """One line for the task's log."""
    if run.queue_position is not None:
        return f"{run.status}: number {run.queue_position} in the queue"
    parts = [f"{run.status}{f' {run.phase}' if run.phase else ''}"]
    if run.progress:
        parts.append(f"{run.progress.done}/{run.progress.total} {run.progress.unit}")
        if run.progress.eta_seconds is not None:
            parts.append(f"about {run.progress.eta_seconds:.0f} s left")
    parts += [f"{name} {value:.5g}" for name, value in sorted(run.metrics.items()) if name.startswith("validation_")]
    return ", ".join(parts)
