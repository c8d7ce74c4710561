"""Work in a process of its own, forked from the run's, beside what the run does meanwhile.

It has all that the run has read, but neither its lock of Python's nor its generators of random numbers, and whatever
ends it ends it alone. ADR 29 has the reasons, and what must be true of the moment at which it is forked.
"""

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, Generic, TypeVar

import psutil

from trainyard.with_parent import end_with_parent
from trainyard.worker.streams import standard_streams

FORK = multiprocessing.get_context("fork")
NICER = 9
"""Than the run, whose own work goes first. With a run's own 10 it is the most there is; without, it is still heard beside others."""
IDLE_SECONDS = 660.0
"""Without a hundredth of a second of the processor, and it is stuck; another service is waited for for 600 s."""
FIRST_IDLE_SECONDS = 100.0
"""The same until it has found anything: MLflow alone is asked until then, 30 s at a time."""
T = TypeVar("T")
Work = Callable[[Callable[[], Any]], Iterator[T]]
"""Yields what it finds, more complete each time. It is given what waits until `Apart.go`, and returns what is given there."""


class Apart(Generic[T]):
    """The hold on it."""

    def __init__(self, work: Work[T], *, idle_seconds: float = IDLE_SECONDS) -> None:
        """Fork, and work there. What it yields is pickled."""
        self._idle_seconds = idle_seconds
        self._connection, its = FORK.Pipe()
        self._process = FORK.Process(target=_do, args=(work, self._connection, its, os.getpid()))
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        its.close()

    def go(self, given: object = None) -> None:
        """Let it begin with what it waits to begin with, by what it is given, which is pickled.

        Does not wait until it takes that: one that is stuck never does, and `answer` ends it.
        """
        Thread(target=self._give, args=(given,), daemon=True).start()

    def _give(self, given: object) -> None:
        with suppress(OSError):
            self._connection.send(given)

    def answer(self) -> tuple[T | None, str]:
        """Wait until it is over: what it found last, None where that is nothing, and how it ended, in words.

        One that does nothing for long is ended: a lock that was held as it was forked is never let go there.
        """
        found: T | None = None
        idle_seconds = min(FIRST_IDLE_SECONDS, self._idle_seconds)
        with suppress(EOFError, OSError):
            while self._answers(idle_seconds):
                found = self._connection.recv()
                idle_seconds = self._idle_seconds
        self._process.join()
        code = self._process.exitcode or 0
        return found, f"signal {-code}" if code < 0 else f"exit code {code}"

    def _answers(self, idle_seconds: float) -> bool:
        """Whether there is something to receive, or its end to be met; False once it was ended for doing nothing."""
        worked = self._worked()
        while not self._connection.poll(idle_seconds):
            before, worked = worked, self._worked()
            if worked == before:
                self._process.kill()
                return False
        return True

    def _worked(self) -> float | None:
        """The seconds of the processor that it has had; None once it is gone."""
        with suppress(psutil.Error):
            times = psutil.Process(self._process.pid).cpu_times()
            return float(times.user + times.system)
        return None


def _do(work: Work[T], ours: Connection, its: Connection, parent: int) -> None:
    """Nothing of the run's is heard or told here: signals do what they usually do, and what is printed goes to the log."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it was killed before
    sys.stdout, sys.stderr = standard_streams()
    ours.close()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the run trains on what there is
    os.nice(NICER)
    gc.freeze()  # a collection would touch, and so copy, all that the run has read
    for found in work(its.recv):
        its.send(found)
