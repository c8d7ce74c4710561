"""A limit on the time that a team's model file may take to load: one that loops must not keep the others away."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LOAD_SECONDS = 120.0
"""Frameworks are large: importing one from a slow disk may take a minute."""


class TooSlow(BaseException):
    """The code took too long. No `Exception`, since code in a loop may catch those and go on."""


@contextmanager
def limited(seconds: float = LOAD_SECONDS) -> Iterator[None]:
    """Raise `TooSlow` in the code below once the time is over, in the main thread of a process without other alarms."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TooSlow(f"did not load within {seconds:g} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
