"""Asking again: which errors may pass, how long to pause, when to give up. The same for blocking and async callers."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_base, wait_random_exponential

from trainyard.client.calls import may_pass, retry_after_seconds
from trainyard.errors import TrainyardError

T = TypeVar("T")

LONGEST_PAUSE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5


def _growing_pause() -> wait_base:
    return wait_random_exponential(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Asks again while errors may pass. What cannot pass is raised at once, the last error when time is up.

    A pause is at least as long as the service asked for with `Retry-After`; where that is longer than the
    time that is left, its error is raised at once.
    """

    seconds: float = float("inf")
    """How long the service may stay without a good answer, from the first try."""
    deadline: float | None = None
    """When to give up in any case, in seconds since 1970: it may come from another process."""
    pause: wait_base = field(default_factory=_growing_pause)
    """How long to wait before the next try."""
    on_away: Callable[[TrainyardError], None] | None = None
    """Told of each error after which it is tried again."""

    def call(self, question: Callable[[], T]) -> T:
        """The answer to the question, for a caller that blocks."""
        return Retrying(**self._settings())(question)

    async def call_async(self, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to the question, for a caller in an event loop."""

        async def ask() -> T:
            return await question()

        return await AsyncRetrying(**self._settings())(ask)

    def _settings(self) -> dict[str, Any]:
        return {
            "retry": retry_if_exception(may_pass),
            "wait": self._pause,
            "stop": self._is_over,
            "before_sleep": self._tell,
            "reraise": True,
        }

    def _left(self, state: RetryCallState) -> float:
        left = self.seconds - (state.seconds_since_start or 0.0)
        return left if self.deadline is None else min(left, self.deadline - time.time())

    def _is_over(self, state: RetryCallState) -> bool:
        left = self._left(state)
        return left <= 0 or _asked_for(state) > left

    def _pause(self, state: RetryCallState) -> float:
        pause = max(self.pause(state), _asked_for(state))
        return max(0.0, min(pause, self._left(state)))

    def _tell(self, state: RetryCallState) -> None:
        error = _error(state)
        if self.on_away and isinstance(error, TrainyardError):
            self.on_away(error)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _asked_for(state: RetryCallState) -> float:
    error = _error(state)
    return retry_after_seconds(error) if error else 0.0
