"""A line in which calls wait for their turn, known by one number: of all wrong tokens, or of one token's calls."""

import time
from collections.abc import Callable

BURST = 50
A_SECOND = 5.0
LONGEST_SECONDS = 4.0


class Slowing:
    """When the next may be answered: the first `burst` at once, then `a_second`; too many are turned away.

    The defaults are those of wrong tokens. A right one never waits in their line, so that nobody is kept out by somebody
    else's guesses. At most `a_second` times `longest_seconds` wait at once, and nothing is remembered of anybody.
    """

    def __init__(
        self,
        *,
        burst: int = BURST,
        a_second: float = A_SECOND,
        longest_seconds: float = LONGEST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ahead_seconds = burst / a_second
        self._each_seconds = 1 / a_second
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._line_ends = 0.0

    def turn(self) -> float | None:
        """Seconds to wait with the answer; None where the line is too long."""
        now = self._clock()
        ends = max(self._line_ends, now) + self._each_seconds
        wait = ends - now - self._ahead_seconds
        if wait > self._longest_seconds:
            return None
        self._line_ends = ends
        return max(0.0, wait)
