"""A run's process, forked ahead of its order: it waits for it on a pipe, and ends when the fork server does."""

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from trainyard.launcher.forking import fork, kill
from trainyard.launcher.looking import write_all
from trainyard.launcher.process_id import process_id, stat

NAME = "trainyard-spare"
"""What the kernel calls it while it waits, as `ps` and `top` show; 15 characters at most."""
LONGEST_READ_BYTES = 1 << 16
DOES_NOT_GO_ON = {"T", "t", "Z", "X"}
"""The kernel's letters for a process that is stopped, traced or dead."""
PF_EXITING = 0x4
"""Of sched.h: the process is being ended, which takes milliseconds until all of it is gone."""
OOM_SCORE = "500"
"""Where memory runs out, the kernel is to end this and not the service."""


class Spare:
    """The fork server's hold on it. It is given one order, a line, once.

    `prepare` is called in the process once, before it waits; `carry_out` with its order, and does not return.
    """

    def __init__(self, prepare: Callable[[], None], carry_out: Callable[[bytes], NoReturn]) -> None:
        told, self._pipe = os.pipe()
        try:
            self.pid = fork()
        except OSError:
            os.close(told)
            os.close(self._pipe)
            raise
        if self.pid == 0:
            try:
                os.close(self._pipe)
                prepare()
                carry_out(_awaited(told))
            except BaseException:  # noqa: BLE001 - the last chance to say what it was
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(1)
        os.close(told)
        try:
            self.process_id = process_id(self.pid)
        except OSError:
            self.end()
            raise

    def take(self, order: bytes) -> bool:
        """Give it its order, which it begins once it hears `begin`. False where it was killed, stopped or asked to stop before."""
        if not _waits(self.pid):
            return False
        try:
            write_all(self._pipe, order + b"\n")
        except BrokenPipeError:
            return False
        return True

    def begin(self) -> None:
        """Have it carry out its order. Whoever it is for must know of it by now."""
        with suppress(BrokenPipeError):  # it was killed: its exit code says so
            os.write(self._pipe, b"\n")
        self.let_go()

    def let_go(self) -> None:
        """Close the fork server's end of its pipe. One that waits for its order ends."""
        os.close(self._pipe)

    def end(self) -> None:
        """End it, which has no order."""
        kill(self.pid)
        self.let_go()


def _awaited(pipe: int) -> bytes:
    """The order, once it may begin. Leaves where the fork server has ended."""
    own_name = Path("/proc/self/comm").read_text().rstrip("\n")
    _set("comm", NAME)
    _set("oom_score_adj", OOM_SCORE)
    heard = b""
    while heard.count(b"\n") < 2:
        read = os.read(pipe, LONGEST_READ_BYTES)
        if not read:
            os._exit(0)
        heard += read
    os.close(pipe)
    _set("comm", own_name)
    return heard.partition(b"\n")[0]


def _set(name: str, value: str) -> None:
    with suppress(OSError):  # where /proc may not be written to
        Path("/proc/self", name).write_text(value)


def _waits(pid: int) -> bool:
    """Whether it lives, and no signal that came before its order awaits it, which the run would take as its own."""
    fields = stat(pid)
    if not fields or fields[0] in DOES_NOT_GO_ON or int(fields[6]) & PF_EXITING:
        return False
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    pending = [line.split()[1] for line in lines if line.startswith(("SigPnd:", "ShdPnd:"))]
    return not any(int(signals, 16) for signals in pending)
