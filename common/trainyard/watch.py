"""A wait for a run's end, over failures and restarts, for a client that blocks and for one that does not."""

import time
from collections.abc import Callable
from typing import Any

from tenacity import RetryCallState, retry_if_exception
from tenacity.wait import wait_random_exponential

from trainyard.calls import Call, get, may_pass
from trainyard.contract import Run
from trainyard.errors import TrainyardError

HELD_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 10.0
UNCHANGED_PAUSE_SECONDS = 0.5


class Watch:
    """A wait for a run's end: what to ask next, and how long to pause. Asks nothing itself."""

    def __init__(
        self, run_id: str, *, timeout_seconds: float | None,
        on_change: Callable[[Run], None] | None, on_away: Callable[[TrainyardError], None] | None,
    ) -> None:
        self.pause_seconds = 0.0
        self._run_id = run_id
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._on_change, self._on_away = on_change, on_away
        self._run: Run | None = None
        self._lost = True
        self._backoff = wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE_SECONDS)

    @property
    def patience(self) -> dict[str, Any]:
        """The settings of tenacity's retrying, sync or not."""
        return {
            "retry": retry_if_exception(may_pass), "wait": self._pause, "stop": self._is_late,
            "before_sleep": self._on_failure, "reraise": True,
        }

    def next(self) -> Call[Run]:
        """The next call: at once at first and after a failure, else held until something changed."""
        self._asked_at = time.monotonic()
        if self._run is None or self._lost:
            return get(self._run_id)
        return get(self._run_id, wait_seconds=min(HELD_SECONDS, self._left()), since=self._run.version if self._on_change else None)

    def saw(self, run: Run) -> Run | None:
        """Take the answer; the run is given back when the wait is over."""
        changed = self._run is None or run != self._run
        # A service that is stopping or starting does not hold its answers.
        held = self._lost or time.monotonic() - self._asked_at >= UNCHANGED_PAUSE_SECONDS
        self._run, self._lost = run, False
        if changed and self._on_change:
            self._on_change(run)
        self.pause_seconds = 0.0 if changed or held else min(UNCHANGED_PAUSE_SECONDS, self._left())
        return run if run.status.ended or self._left() <= 0 else None

    def _left(self) -> float:
        return float("inf") if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _is_late(self, _: RetryCallState) -> bool:
        return self._left() <= 0

    def _pause(self, state: RetryCallState) -> float:
        return min(self._backoff(state), self._left())

    def _on_failure(self, state: RetryCallState) -> None:
        self._lost = True
        error = state.outcome.exception() if state.outcome else None
        if self._on_away and isinstance(error, TrainyardError):
            self._on_away(error)
