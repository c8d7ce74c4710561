"""The processes of a program that was started in a session of its own, also after its first process has died."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

CLOCK_SECONDS = 2.0
"""How far two readings of one process's start time may lie apart: the system's clock is set now and then."""


@dataclass(frozen=True)
class Started:
    """The first process of a session, by its id; its start time tells it from a later process with the same id."""

    pid: int
    created: float
    log_from: int = 0
    """Where what it says begins in the log, which others of its name have written to before it."""

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            process = psutil.Process(self.pid)
            return self._started_it(process) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def members(self) -> list[psutil.Process]:
        """What runs of its session, the first process included; none when the id has passed to another program.

        While a process of the session lives, the system gives its id to no new process: so the only doubt is
        about a session that has ended whole, and the start times settle it.
        """
        if psutil.pid_exists(self.pid) and not self._is_first():
            return []
        return [process for process in psutil.process_iter() if self._holds(process)]

    def _is_first(self) -> bool:
        try:
            return self._started_it(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return True

    def _started_it(self, process: psutil.Process) -> bool:
        return bool(abs(process.create_time() - self.created) < CLOCK_SECONDS)

    def _holds(self, process: psutil.Process) -> bool:
        """Whether a process is of this session; one that its parent has not reaped yet is over."""
        try:
            return bool(
                os.getsid(process.pid) == self.pid
                and process.uids().real == os.getuid()
                and process.create_time() > self.created - CLOCK_SECONDS
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False


def end(session: Started, *, seconds: float) -> bool:
    """End all of a session: SIGTERM, so many seconds to end by itself, SIGKILL. False when nothing of it ran."""
    members = session.members()
    _signal(members, signal.SIGTERM)
    _wait_for(lambda: not session.members(), seconds)
    left = session.members()
    _signal(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=seconds)
    return bool(members)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
