"""The process that has the data and forks a trial from it whenever it is told to.

It is forked from the run's process before anything is trained there, and trains nothing itself: so it has one thread,
and no pool of a framework's, at each of its forks. ADR 12 has the reasons. It stays in the run's process group, and
ends its trials and itself when the run's process is gone.
"""

import gc
import json
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn, Protocol

from pydantic_core import to_json

from trainyard.errors import TrainyardError
from trainyard.with_parent import end_with_parent

Run = Callable[[int, Mapping[str, Any], int, socket.socket], NoReturn]
LONGEST_ORDER_BYTES = 1 << 17
MOST_FORKERS = 5
"""Who kills the process that forks trials so often means the search, or it is out of memory."""


class ForkerGone(TrainyardError):
    """The process that forks the trials has ended."""


class Gone(NamedTuple):
    """A trial's process has ended; `code` is negative when a signal ended it, and None when it went with what forked it."""

    number: int
    code: int | None


class Forks(Protocol):
    """What forks trials, here or elsewhere."""

    def fileno(self) -> int:
        """What to wait for."""

    def start(self, number: int, params: Mapping[str, Any], threads: int) -> socket.socket:
        """Fork a trial; its connection. Raises `ForkerGone`, or `RankMissing` where another rank forks it."""

    def kill(self, number: int) -> None:
        """End a trial at once; it is `Gone` later, as any other."""

    def heard(self) -> Sequence[Gone]:
        """The trials that are gone, once there is something to read. Raises as `start`."""


class Forker:
    """The run's process's hold on it. See `Forks`."""

    def __init__(self, ready: Callable[[], Run]) -> None:
        """Fork it. `ready` is called in it once; its answer is what a trial does with its number, params, threads and connection."""
        self._connection, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._connection.close()
                _Forking(its, ready()).serve()
            finally:
                os._exit(0)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        its.close()

    def fileno(self) -> int:
        """What to wait for."""
        return self._connection.fileno()

    def start(self, number: int, params: Mapping[str, Any], threads: int) -> socket.socket:
        """Fork a trial; its connection. Raises `ForkerGone`."""
        ours, its = socket.socketpair()
        with its:
            try:
                self.start_over(its, number, params, threads)
            except ForkerGone:
                ours.close()
                raise
        return ours

    def start_over(
        self, its: socket.socket, number: int, params: Mapping[str, Any], threads: int
    ) -> None:
        """Fork a trial that speaks over this end of a connection, of which it has a copy. Raises `ForkerGone`."""
        order = to_json({"number": number, "params": params, "threads": threads})
        try:
            socket.send_fds(self._connection, [order], [its.fileno()])
        except OSError as error:
            raise ForkerGone from error

    def kill(self, number: int) -> None:
        """End a trial at once; it is `Gone` later, as any other."""
        with suppress(OSError):
            self._connection.send(to_json({"kill": number}))

    def heard(self) -> Sequence[Gone]:
        """The next trial that is gone. Raises `ForkerGone`."""
        try:
            said = self._connection.recv(LONGEST_ORDER_BYTES)
        except OSError:
            said = b""
        if not said:
            raise ForkerGone
        return (Gone(*json.loads(said)),)

    def close(self) -> None:
        """End it, whatever it waits for, and the trials that there are: they end with it."""
        self._connection.close()
        if self._pid:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            self._pid = 0


class _Forking:
    """What the forker does."""

    def __init__(self, connection: socket.socket, run: Run) -> None:
        self._connection = connection
        self._run = run
        self._trials: dict[int, int] = {}
        self._own_pid = os.getpid()

    def serve(self) -> None:
        """Carry out orders until the run's process is gone."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the run's process says when
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        wake, poke = os.pipe()
        os.set_blocking(poke, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        gc.collect()
        gc.freeze()
        while True:
            waits: list[Any] = [wake, self._connection]
            ready, _, _ = select.select(waits, [], [])
            if wake in ready:
                os.read(wake, 4096)
                self._reap()
            if self._connection in ready and not self._carry_out():
                break
        for pid in self._trials:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _carry_out(self) -> bool:
        """The next order; False where there will be none."""
        said, descriptors, _, _ = socket.recv_fds(self._connection, LONGEST_ORDER_BYTES, 1)
        if not said:
            return False
        order = json.loads(said)
        if "kill" in order:
            for pid, number in self._trials.items():
                if number == order["kill"]:
                    os.kill(pid, signal.SIGKILL)  # it was not reaped yet, so it is this one
            return True
        connection = socket.socket(fileno=descriptors[0])
        pid = os.fork()
        if pid == 0:
            try:
                end_with_parent(signal.SIGKILL)
                if os.getppid() != self._own_pid:
                    os._exit(1)  # it was killed before
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                self._connection.close()
                self._run(order["number"], order["params"], order["threads"], connection)
            finally:
                os._exit(1)
        connection.close()
        self._trials[pid] = order["number"]
        return True

    def _reap(self) -> None:
        while self._trials:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            number = self._trials.pop(pid, None)
            if number is not None:
                self._connection.send(to_json((number, os.waitstatus_to_exitcode(status))))
