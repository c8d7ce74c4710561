"""Submitting and waiting with patience: a service that is away is waited for, never taken for a failed run."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from trainyard.client import AsyncTrainyardClient
from trainyard.client.patience import Patience
from trainyard.client.watch import Watch
from trainyard.contract import Run, RunKind
from trainyard.errors import TrainyardError

Say = Callable[[str], None]


async def submit(  # noqa: PLR0913 - each by name
    client: AsyncTrainyardClient,
    request: Mapping[str, Any],
    *,
    kind: RunKind,
    key: str,
    deadline: float,
    say: Say,
) -> Run:
    """The accepted run. Raises what the last try did, at `deadline` (seconds since 1970) or when it is refused."""
    told = Told(say)
    patience = Patience(deadline=deadline, on_away=told.away)
    call = {RunKind.TRAIN: client.submit, RunKind.SCORE: client.score}[kind]
    ask = partial(call, request, idempotency_key=key)
    return await patience.call_async(ask)


async def wait(  # noqa: PLR0913 - each by name
    client: AsyncTrainyardClient,
    run_id: str,
    *,
    wait_seconds: float,
    patience_seconds: float,
    deadline: float | None,
    say: Say,
) -> Run:
    """The run once it ended, or as it stands at `deadline` (seconds since 1970).

    Each question is held by the service for `wait_seconds` unless the run ends, so 30 asks twice a minute
    and still knows the end at once. Raises what the last attempt did, after `patience_seconds` of silence.
    """
    told = Told(say)
    watch = Watch(
        run_id,
        deadline=deadline,
        patience_seconds=patience_seconds,
        hold_seconds=wait_seconds,
        on_change=told.change,
        on_away=told.away,
    )
    return await client.follow(watch)


class Told:
    """Writes lines into the task's log, none twice in a row."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last = ""

    def change(self, run: Run) -> None:
        """Tell how far a run is that goes on."""
        if not run.status.ended:
            self.line(progress(run))

    def away(self, error: TrainyardError) -> None:
        """Tell that the service does not answer, or cannot serve now."""
        self.line(f"{error}; waiting for it")

    def line(self, line: str) -> None:
        """Write the line unless it was the last one."""
        if line != self._last:
            self._say(line)
            self._last = line


def progress(run: Run) -> str:
    """One line for the task's log."""
    if run.queue_position is not None:
        return f"{run.status}: number {run.queue_position} in the queue"
    parts = [f"{run.status}{f' {run.phase}' if run.phase else ''}"]
    if run.progress:
        parts.append(f"{run.progress.done}/{run.progress.total} {run.progress.unit}")
        if run.progress.eta_seconds is not None:
            parts.append(f"about {run.progress.eta_seconds:.0f} s left")
    parts += [
        f"{name} {value:.5g}"
        for name, value in sorted(run.metrics.items())
        if name.startswith("validation_")
    ]
    return ", ".join(parts)
