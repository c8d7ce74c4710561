"""The fork server's side of orders that a process of their own carries out: a few at once, each ended when its time is over."""

import os
import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from trainyard.launcher.forking import fork, kill, kill_group
from trainyard.launcher.messages import Check, Judge, Message, Predict, Refused
from trainyard.signal_names import signal_name
from trainyard.trainer import Trainer

LONGEST_ANSWER_BYTES = 8 * 1024 * 1024
Ordered = TypeVar("Ordered", Check, Judge, Predict)


@dataclass
class Look(Generic[Ordered]):
    """One order that is carried out, and what its process has written so far."""

    order: Ordered
    pipe: int
    ends_at: float
    told: bytearray = field(default_factory=bytearray)
    temporary: str | None = None
    """Where its process has its temporary files, such as a model's; None where no folder could be made."""

    def broke(self, doing: str, code: int) -> str:
        """Why its process ended without an answer, in words; `doing` is what it was doing."""
        if time.monotonic() >= self.ends_at or code in {-signal.SIGXCPU, -signal.SIGALRM}:
            return f"{doing} took longer than {self.order.seconds:g} s"
        if code < 0:
            return f"the process that was {doing} was ended by {signal_name(-code)}; it may have needed too much memory ({self.order.memory_mb} MB are allowed)"
        return f"the process that was {doing} ended itself with exit code {code}"


class Looks(Generic[Ordered]):
    """Orders that are carried out, by the number of their process, and those that wait for one.

    `carry_out` is called in the forked process with the pipe to write to, and does not return; `found` makes the answer
    of what was written and the exit code.
    """

    def __init__(  # noqa: PLR0913 - who hears, who works, and where
        self,
        answer: Callable[[Message], None],
        in_child: Callable[[], None],
        carry_out: Callable[[Ordered, Trainer | None, int], NoReturn],
        found: Callable[[Look[Ordered], int], Message],
        *,
        at_once: int,
        temporary: Path | None = None,
    ) -> None:
        """`temporary`: the folder that holds the temporary files of each process in a folder of its own."""
        self._temporary = temporary
        self._answer = answer
        self._in_child = in_child
        self._carry_out: Callable[[Ordered, Trainer | None, int], NoReturn] = carry_out
        self._found: Callable[[Look[Ordered], int], Message] = found
        self._at_once = at_once
        self._looks: dict[int, Look[Ordered]] = {}
        self._waiting: deque[tuple[Ordered, Trainer | None]] = deque()

    @property
    def pipes(self) -> list[int]:
        """What to wait for."""
        return [look.pipe for look in self._looks.values()]

    def seconds_left(self) -> float | None:
        """When the next one is overdue; None while none is looked at."""
        if not self._looks:
            return None
        return max(0.0, min(look.ends_at for look in self._looks.values()) - time.monotonic())

    def add(self, order: Ordered, trainer: Trainer | None) -> None:
        """Carry it out now, or once there is room."""
        self._waiting.append((order, trainer))
        self._start_waiting()

    def read(self, ready: Iterable[object]) -> None:
        """Take in what was written, and end those that are overdue."""
        now = time.monotonic()
        for pid, look in self._looks.items():
            if look.pipe in ready:
                _take_in(look)
            if now >= look.ends_at or len(look.told) > LONGEST_ANSWER_BYTES:
                kill(pid)

    def ended(self, pid: int, code: int) -> bool:
        """Answer for the process; False where it was none of these."""
        look = self._looks.pop(pid, None)
        if look is None:
            return False
        kill_group(pid)
        while _take_in(look):
            pass
        os.close(look.pipe)
        _remove(look.temporary)
        self._answer(self._found(look, code))
        self._start_waiting()
        return True

    def stop(self) -> None:
        """End them all."""
        for pid, look in self._looks.items():
            kill(pid)
            _remove(look.temporary)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._looks) < self._at_once:
            self._start(*self._waiting.popleft())

    @staticmethod
    def _forked() -> tuple[int, int, int]:
        """The number of a new process, 0 in that itself, and both ends of a pipe. Raises OSError."""
        ours, its = os.pipe()
        try:
            return fork(), ours, its
        except OSError:
            os.close(ours)
            os.close(its)
            raise

    def _start(self, order: Ordered, trainer: Trainer | None) -> None:
        temporary = _folder_in(self._temporary)
        try:
            pid, ours, its = self._forked()
        except OSError as error:
            _remove(temporary)
            self._answer(not_now(order.number, error))
            return
        if pid == 0:
            try:
                self._in_child()
                if temporary:
                    os.environ["TMPDIR"] = tempfile.tempdir = temporary
                os.close(ours)
                self._carry_out(order, trainer, its)
            finally:
                os._exit(1)
        os.close(its)
        os.set_blocking(ours, False)
        ends_at = time.monotonic() + order.seconds
        self._looks[pid] = Look(order, ours, ends_at, temporary=temporary)


def _folder_in(folder: Path | None) -> str | None:
    """A folder that goes with the process, however that ends."""
    try:
        return tempfile.mkdtemp(prefix="trainyard-", dir=folder)
    except OSError:  # a full disk, which the process meets by itself
        return None


def _remove(temporary: str | None) -> None:
    if temporary:
        shutil.rmtree(temporary, ignore_errors=True)


def not_now(number: int, error: OSError) -> Refused:
    """The answer to an order for which there is no process, file or memory to be had."""
    detail = f"there can be no process for it now: {error}"
    return Refused(number=number, detail=detail, for_good=False)


def _take_in(look: Look[Ordered]) -> bool:
    """Whether there was something."""
    try:
        read = os.read(look.pipe, 1 << 16)
    except BlockingIOError:
        return False
    look.told += read
    return bool(read)
