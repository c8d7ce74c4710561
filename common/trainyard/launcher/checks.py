"""The fork server's side of looking at requests: a few processes at once, each ended when its time is over."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from trainyard.contract import FieldError
from trainyard.launcher.forking import fork, kill, kill_group
from trainyard.launcher.looking import PARAMS, look_and_leave
from trainyard.launcher.messages import Check, Checked
from trainyard.trainer import Trainer

AT_ONCE = 4
LONGEST_ANSWER_BYTES = 8 * 1024 * 1024


@dataclass
class _Look:
    order: Check
    pipe: int
    ends_at: float
    told: bytearray = field(default_factory=bytearray)


class Checks:
    """Requests that are looked at, by the number of the process that looks, and those that wait for one."""

    def __init__(self, answer: Callable[[Checked], None], in_child: Callable[[], None]) -> None:
        self._answer = answer
        self._in_child = in_child
        self._looks: dict[int, _Look] = {}
        self._waiting: deque[tuple[Check, Trainer | None]] = deque()

    @property
    def pipes(self) -> list[int]:
        """What to wait for."""
        return [look.pipe for look in self._looks.values()]

    def seconds_left(self) -> float | None:
        """When the next one is overdue; None while none is looked at."""
        if not self._looks:
            return None
        return max(0.0, min(look.ends_at for look in self._looks.values()) - time.monotonic())

    def add(self, order: Check, trainer: Trainer | None) -> None:
        """Look at it now, or once there is room."""
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
        self._answer(_found(look, code))
        self._start_waiting()
        return True

    def stop(self) -> None:
        """End them all."""
        for pid in self._looks:
            kill(pid)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._looks) < AT_ONCE:
            self._start(*self._waiting.popleft())

    def _start(self, order: Check, trainer: Trainer | None) -> None:
        ours, its = os.pipe()
        pid = fork()
        if pid == 0:
            try:
                self._in_child()
                os.close(ours)
                look_and_leave(order, trainer, its)
            finally:
                os._exit(1)
        os.close(its)
        os.set_blocking(ours, False)
        self._looks[pid] = _Look(order, ours, time.monotonic() + order.seconds)


def _take_in(look: _Look) -> bool:
    """Whether there was something."""
    try:
        read = os.read(look.pipe, 1 << 16)
    except BlockingIOError:
        return False
    look.told += read
    return bool(read)


def _found(look: _Look, code: int) -> Checked:
    lines = bytes(look.told).split(b"\n")
    for line in lines:
        if line.startswith(b"{"):
            try:
                return Checked.model_validate_json(line)
            except ValidationError:
                break
    reached = [line.decode() for line in lines if line.startswith(b"/")]
    error = FieldError(pointer=reached[-1] if reached else PARAMS, detail=_broke(look, code))
    return Checked(number=look.order.number, errors=(error,))


def _broke(look: _Look, code: int) -> str:
    if time.monotonic() >= look.ends_at or code == -signal.SIGXCPU:
        return f"looking at this took longer than {look.order.seconds:g} s"
    if code < 0:
        return f"the process that looked at this was ended by {signal.Signals(-code).name}; it may have needed too much memory ({look.order.memory_mb} MB are allowed)"
    return f"the process that looked at this ended itself with exit code {code}"
