"""Waiting for a run's end, over failures and restarts: what to ask next and how long to pause, for every caller."""

import time
from collections.abc import Callable

from trainyard.client.calls import Call, get
from trainyard.client.patience import Patience
from trainyard.contract import Run
from trainyard.errors import TrainyardError

HOLD_SECONDS = 30.0
SHORTEST_HOLD_SECONDS = 0.5


class Watch:
    """One wait for the end of a run. It asks nothing itself: `TrainyardClient.follow` and its async twin do.

    :param deadline: When to return the run as it stands, in seconds since 1970. None: wait for ever.
    :param patience_seconds: How long the service may be silent before its last error is raised.
    :param hold_seconds: How long the service holds each answer unless the run ends, 0 to 60.
    :param each_change: Have the service answer at each change of the run, not only at its end.
    :param on_change: Told of the run whenever an answer differs from the one before.
    :param on_away: Told of each failed try.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self,
        run_id: str,
        *,
        deadline: float | None = None,
        patience_seconds: float = float("inf"),
        hold_seconds: float = HOLD_SECONDS,
        each_change: bool = False,
        on_change: Callable[[Run], None] | None = None,
        on_away: Callable[[TrainyardError], None] | None = None,
    ) -> None:
        self.pause_seconds = 0.0
        self.patience = Patience(seconds=patience_seconds, deadline=deadline, on_away=self._failed)
        self._run_id, self._deadline, self._hold_seconds = run_id, deadline, hold_seconds
        self._each_change, self._on_change, self._on_away = each_change, on_change, on_away
        self._run: Run | None = None
        self._lost = True

    def next(self) -> Call[Run]:
        """The next call: at first and after a failure answered at once, else held by the service."""
        self._asked_at = time.monotonic()
        if self._run is None or self._lost:
            return get(self._run_id)
        return get(
            self._run_id,
            wait_seconds=min(self._hold_seconds, self._left()),
            since=self._run.version if self._each_change else None,
        )

    def saw(self, run: Run) -> Run | None:
        """Take an answer, and set `pause_seconds`. Returns the run when the wait is over."""
        changed = run != self._run
        at_once = self._lost or (changed and self._each_change)
        self._run, self._lost = run, False
        if changed and self._on_change:
            self._on_change(run)
        self.pause_seconds = 0.0 if at_once or self._was_held() else self._shortest_hold()
        return run if run.status.ended or self._left() <= 0 else None

    def _was_held(self) -> bool:
        """A service that is stopping or starting holds nothing, and must not be asked in a tight loop."""
        return time.monotonic() - self._asked_at >= self._shortest_hold()

    def _shortest_hold(self) -> float:
        return min(SHORTEST_HOLD_SECONDS, self._left())

    def _left(self) -> float:
        return float("inf") if self._deadline is None else max(0.0, self._deadline - time.time())

    def _failed(self, error: TrainyardError) -> None:
        self._lost = True
        if self._on_away:
            self._on_away(error)
