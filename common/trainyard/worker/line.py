"""The run's end of its line to the service: it tells, it is never held up, and it is taken up again when it breaks."""

import os
import signal
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue

from pydantic import ValidationError

from trainyard.errors import TrainyardError
from trainyard.launcher.messages import (
    Gather,
    Gathered,
    Hello,
    Line,
    Noted,
    PhaseEntered,
    Progressed,
    Warned,
    as_line,
)

SEND_SECONDS = 0.5
CONNECT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0
KEPT_EVENTS = 50


class Unreachable(TrainyardError):
    """The service cannot be reached within the grace period of the line."""


class RunLine:
    """Events go out at once. While the line is broken the newest are kept, and sent when it is whole again."""

    def __init__(self, line: Line, run_id: str) -> None:
        self._line = line
        self._hello = as_line(Hello(run_id=run_id, secret=line.secret))
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._steps: deque[PhaseEntered | Noted | Warned] = deque(maxlen=KEPT_EVENTS)
        self._progress: Progressed | None = None
        self._gives: Gather | None = None
        self._answers: SimpleQueue[Gathered] = SimpleQueue()
        self._heard = b""

    def open(self) -> None:
        """Connect. Raises `Unreachable`."""
        if not self._connect(time.monotonic() + self._line.grace_seconds):
            raise Unreachable

    def watch(self) -> None:
        """Have a thread watch the line from now on, and take it up again when it breaks."""
        threading.Thread(target=self._watch, name="service-watch", daemon=True).start()

    def send(self, event: PhaseEntered | Progressed | Noted | Warned) -> None:
        """Tell the service. Never raises; takes half a second at most, and no time while the line is broken."""
        with self._lock:
            if isinstance(event, Progressed):
                self._progress = event
            else:
                self._steps.append(event)
            with suppress(ValueError):  # a name that no JSON can hold
                self._send(as_line(event))

    def give(self, key: str, value: str) -> None:
        """Give a text to all ranks: now, or as soon as the line is whole. Never raises."""
        with self._lock:
            self._gives = Gather(key=key, value=value)
            self._send(as_line(self._gives))

    def given(self, key: str, seconds: float) -> tuple[str, ...] | None:
        """What all ranks gave by this key; None where that has not come within these seconds."""
        until = time.monotonic() + seconds
        with suppress(Empty):
            while True:
                answer = self._answers.get(timeout=max(0.0, until - time.monotonic()))
                if answer.key == key:
                    return answer.values
        return None

    def _send(self, text: bytes) -> None:
        """Send while the lock is held. A line that was cut short is hung up, and taken up by the watcher."""
        if self._socket is None:
            return
        try:
            self._socket.sendall(text)
        except OSError:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _watch(self) -> None:
        """Take the line up again whenever it breaks; when the service stays away, end the run's processes."""
        deadline = 0.0
        while True:
            if self._listen():
                deadline = 0.0
            deadline = deadline or time.monotonic() + self._line.grace_seconds
            if not self._connect(deadline):
                os.killpg(0, signal.SIGKILL)

    def _listen(self) -> bool:
        """Wait until the line breaks. Whether the service had welcomed the run on it."""
        line, welcomed = self._socket, False
        self._heard = b""
        while line is not None:
            try:
                received = line.recv(4096)
                if not received:
                    break
                welcomed = True
                self._hear(received)
            except TimeoutError:
                continue
            except OSError:
                break
        with self._lock:
            self._socket = None
        if line is not None:
            line.close()
        return welcomed

    def _hear(self, received: bytes) -> None:
        """Keep what ranks have given; all else that comes is a welcome."""
        *lines, self._heard = (self._heard + received).split(b"\n")
        for each in lines:
            with suppress(ValidationError):
                self._answers.put(Gathered.model_validate_json(each))

    def _connect(self, deadline: float) -> bool:
        pause = FIRST_PAUSE_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                connection = connected(self._line.address)
                connection.settimeout(SEND_SECONDS)
                self._begin(connection)
                return True
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return False

    def _begin(self, connection: socket.socket) -> None:
        with self._lock:
            again = [*self._steps, *([self._progress] if self._progress else [])]
            connection.sendall(self._hello)
            self._socket = connection
            for event in sorted(again, key=lambda each: each.sequence):
                with suppress(ValueError):
                    self._send(as_line(event))
            if self._gives:
                self._send(as_line(self._gives))


def connected(address: str) -> socket.socket:
    """A connection to `unix:/path` or `tcp:host:port`. Raises OSError."""
    kind, _, rest = address.partition(":")
    if kind == "unix":
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(rest)
        except OSError:
            connection.close()
            raise
        return connection
    host, _, port = rest.rpartition(":")
    if kind != "tcp" or not port.isdecimal():
        raise OSError(f"{address!r} is no address of a line: unix:/path or tcp:host:port is")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS)
