"""Forking from the fork server: the child leads a session and hears SIGTERM from its first instant on."""

import os
import signal
from contextlib import suppress


def fork() -> int:
    """Fork. Answers the child's number, or 0 in the child, which has SIGTERM blocked until it has a handler for it.

    A signal that arrives meanwhile waits. Without that it would be lost: the fork server ignores SIGTERM.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return pid
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    return 0


def kill(pid: int) -> None:
    """End a child that was not reaped yet, and its group."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    kill_group(pid)


def kill_group(pid: int) -> None:
    """End what a child left behind, also once it was reaped: a group's number is not given away while it has members."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
