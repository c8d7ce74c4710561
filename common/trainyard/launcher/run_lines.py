"""The service's end of the runs' lines: who may speak, and to whom it is said."""

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import ValidationError

from trainyard.launcher.messages import (
    Gather,
    Gathered,
    Hello,
    Line,
    Welcome,
    as_line,
    events,
)
from trainyard.launcher.protocol import Listener

LONGEST_LINE_BYTES = 1024 * 1024
HELLO_SECONDS = 10.0
log = structlog.get_logger()


class Seat:
    """One process's place: its secret, its listener, and the connection it speaks on now."""

    def __init__(
        self,
        lines: "RunLines",
        run_id: str,
        listener: Listener,
        gather: Callable[[Gather], None] | None,
    ) -> None:
        self.run_id = run_id
        self.secret = secrets.token_urlsafe(32)
        self._lines = lines
        self._gather = gather
        self._listener: Listener | None = listener
        self._newest = 0
        self._connection: asyncio.StreamWriter | None = None
        self._silent = asyncio.Event()
        self._silent.set()

    def take(self, connection: asyncio.StreamWriter) -> None:
        """The process speaks on this connection from now on; an earlier one is closed."""
        if self._connection:
            self._connection.close()
        self._connection = connection
        self._silent.clear()

    def hung_up(self, connection: asyncio.StreamWriter) -> None:
        """Nothing more comes from this connection."""
        if self._connection is connection:
            self._connection = None
            self._silent.set()

    def hear(self, text: bytes) -> None:
        """Hand an event on, once. One that is not understood is logged and dropped."""
        try:
            event = events.validate_json(text)
        except ValidationError as error:
            log.warning("a run said something odd", run_id=self.run_id, why=str(error)[:500])
            return
        if isinstance(event, Gather):
            if self._listener and self._gather:
                self._gather(event)
        elif self._listener and event.sequence > self._newest:
            self._newest = event.sequence
            self._listener(event)

    def say(self, message: Gathered) -> None:
        """Tell the process; one whose line is broken asks again once it is whole."""
        if self._connection:
            self._connection.write(as_line(message))

    async def heard_out(self) -> None:
        """Wait until its connection is closed and all that came before was handed on."""
        await self._silent.wait()

    def leave(self) -> None:
        """Hand nothing on any more, and forget the listener."""
        self._listener = None
        self._lines.clear(self)
        if self._connection:
            self._connection.close()


class RunLines:
    """A socket that runs' processes connect to. One that does not know its run's secret is hung up on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seats: dict[str, Seat] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(
            self._connected, self._path, limit=LONGEST_LINE_BYTES
        )

    def close(self) -> None:
        """Hang up on everybody."""
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.close()

    def reserve(
        self, run_id: str, listener: Listener, gather: Callable[[Gather], None] | None = None
    ) -> Seat:
        """A place for the run's next process; an earlier one of the same run loses its own.

        `run_id` is the job's `seat`; `gather` is called with what the process, one of several ranks, gives to all.
        """
        if run_id in self._seats:
            self._seats[run_id].leave()
        seat = self._seats[run_id] = Seat(self, run_id, listener, gather)
        return seat

    def line(self, seat: Seat, grace_seconds: float) -> Line:
        """What the process of this seat needs to know."""
        return Line(address=f"unix:{self._path}", secret=seat.secret, grace_seconds=grace_seconds)

    def clear(self, seat: Seat) -> None:
        """Forget the seat."""
        if self._seats.get(seat.run_id) is seat:
            del self._seats[seat.run_id]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            seat = await self._greeted(reader)
            if seat is None:
                log.warning("hung up on a process that no run of this service owns")
                return
            writer.write(as_line(Welcome()))
            seat.take(writer)
            try:
                await _listen(reader, seat)
            finally:
                seat.hung_up(writer)
        except ConnectionError:
            log.info("a run's line broke off")
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _greeted(self, reader: asyncio.StreamReader) -> Seat | None:
        with contextlib.suppress(TimeoutError, ValueError):
            async with asyncio.timeout(HELLO_SECONDS):
                hello = Hello.model_validate_json(await reader.readline())
            seat = self._seats.get(hello.run_id)
            if seat and hmac.compare_digest(seat.secret.encode(), hello.secret.encode()):
                return seat
        return None


async def _listen(reader: asyncio.StreamReader, seat: Seat) -> None:
    while True:
        try:
            text = await reader.readline()
        except ValueError:
            log.warning("a run's line was too long", run_id=seat.run_id, limit=LONGEST_LINE_BYTES)
            continue
        if not text:
            return
        seat.hear(text)
