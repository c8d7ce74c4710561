"""Trials on the other ranks of a run, as rank 0 has them.

Each rank has read the data, and forks trials from it when it is told to (`along`). Rank 0 has a connection to each of
them for orders, and one to each trial there, over which the trial speaks as one on rank 0's own machine does. What goes
over both are lines of JSON, of which the first has the secret that rank 0 gave the ranks over the run's line.
"""

import json
import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

from pydantic import BaseModel, ConfigDict

from trainyard.errors import RankMissing
from trainyard.worker.search.forker import Gone
from trainyard.world import World

WHERE = "where trials are begun"
CONNECT_SECONDS = 5.0
LOST_SECONDS = 10
"""After so long without an answer from the other machine a connection is given up."""
ASK_SECONDS = 2
"""How often it is asked, while nothing is said."""


class Seat(BaseModel):
    """Where another rank is told to begin trials, and how many threads it has for them."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    threads: int


class Opening(BaseModel):
    """The first line of a connection: of that for orders, or of a trial's, which begins with it."""

    model_config = ConfigDict(frozen=True)

    secret: str
    number: int | None = None
    """The trial's; None on the connection for orders."""
    params: dict[str, Any] = {}
    threads: int = 1


class Kill(BaseModel):
    """The order to end a trial."""

    model_config = ConfigDict(frozen=True)

    number: int


def line_of(message: BaseModel) -> bytes:
    """The message as it is sent."""
    return message.model_dump_json().encode() + b"\n"


def kept_alive(connection: socket.socket) -> socket.socket:
    """The connection, sending at once, and given up after `LOST_SECONDS` without a word from the other machine."""
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ASK_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASK_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * LOST_SECONDS)
    return connection


@contextmanager
def other_ranks(world: World) -> Iterator[Sequence["OtherRank"]]:
    """Rank 0's hold on all others; nobody where it is alone. They leave when this ends. Raises `RankMissing`."""
    if world.alone:
        yield ()
        return
    secret = secrets.token_hex()
    told = world.gather(WHERE, secret)
    with ExitStack() as held:
        yield [
            held.enter_context(
                closing(OtherRank(rank, Seat.model_validate_json(each), secret, world))
            )
            for rank, each in enumerate(told)
            if rank
        ]


class OtherRank:
    """One rank's trials. See `Forks`."""

    def __init__(self, rank: int, seat: Seat, secret: str, world: World) -> None:
        """Connect. Raises `RankMissing`."""
        self.rank, self.threads = rank, seat.threads
        self._seat, self._secret, self._world = seat, secret, world
        self._orders = self._connected(Opening(secret=secret))
        self._said = bytearray()
        self._heard_at = time.monotonic()

    def fileno(self) -> int:
        """What to wait for."""
        return self._orders.fileno()

    def start(self, number: int, params: Mapping[str, Any], threads: int) -> socket.socket:
        """Have it fork a trial; its connection. Raises `RankMissing`."""
        return self._connected(
            Opening(secret=self._secret, number=number, params=dict(params), threads=threads)
        )

    def kill(self, number: int) -> None:
        """End a trial at once."""
        with suppress(OSError):
            self._orders.sendall(line_of(Kill(number=number)))

    def heard(self) -> Sequence[Gone]:
        """The trials that are gone. Raises `RankMissing` where the rank itself is."""
        try:
            said = self._orders.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return ()
        except OSError as error:
            raise self._missing(f"its connection was lost: {error}") from error
        if not said:
            raise self._missing("it has left")
        self._heard_at = time.monotonic()
        self._said += said
        *lines, rest = bytes(self._said).split(b"\n")
        self._said = bytearray(rest)
        return [Gone(*json.loads(line)) for line in lines if line]

    def check(self) -> None:
        """Raise `RankMissing` where it has said nothing for longer than ranks wait for each other."""
        silent = time.monotonic() - self._heard_at
        if silent > self._world.timeout_seconds:
            raise self._missing(f"it has said nothing for {silent:.0f} s")

    def close(self) -> None:
        """Let it leave; what trials there are end."""
        with suppress(OSError):
            self._orders.shutdown(socket.SHUT_RDWR)
        self._orders.close()

    def _connected(self, opening: Opening) -> socket.socket:
        at = (self._seat.host, self._seat.port)
        try:
            connection = kept_alive(socket.create_connection(at, timeout=CONNECT_SECONDS))
            connection.sendall(line_of(opening))
        except OSError as error:
            raise self._missing(f"{at[0]}:{at[1]} cannot be reached: {error}") from error
        return connection

    def _missing(self, why: str) -> RankMissing:
        return RankMissing(f"rank {self.rank} of {self._world.size} trains no more trials: {why}")
