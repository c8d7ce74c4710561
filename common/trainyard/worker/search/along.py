"""What the ranks beside rank 0 do in a search: fork the trials that rank 0 asks for, from the data that they have read."""

import hmac
import select
import socket
import sys
import time
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from trainyard.errors import RankMissing, RunError
from trainyard.worker.search.forker import (
    LONGEST_ORDER_BYTES,
    MOST_FORKERS,
    Forker,
    ForkerGone,
    Gone,
)
from trainyard.worker.search.spread import WHERE, Kill, Opening, Seat, kept_alive
from trainyard.worker.search.trial import Trials
from trainyard.world import World

MOST_UNOPENED = 64
"""Connections that have not said yet what they are."""
BEAT_SECONDS = 1.0
"""How often rank 0 is told that this rank is there."""


def train_trials(trials: Trials, world: World, threads: int) -> None:
    """Train trials until rank 0 needs no more. Raises `RankMissing` where it is gone, and `RunError` where forkers do not last."""
    forkers = _Forkers(trials)  # before there are connections: it would have copies
    try:
        with socket.create_server((world.host, 0), backlog=MOST_UNOPENED) as listener:
            seat = Seat(host=world.host, port=listener.getsockname()[1], threads=threads)
            secret = world.gather(WHERE, seat.model_dump_json())[0]
            _Along(forkers, listener, secret, world).serve()
    finally:
        forkers.now.close()


class _Forkers:
    """One process that forks trials, after another."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials
        self._count = 0
        self.now = self._forked()

    def next(self, gone: ForkerGone) -> None:
        """Fork another. Raises `RunError` where too many were ended."""
        self.now.close()
        if self._count == MOST_FORKERS:
            raise RunError(gone.detail) from gone
        sys.stdout.write("the process that forks trials was ended; another goes on\n")
        self.now = self._forked()

    def _forked(self) -> Forker:
        self._count += 1
        return Forker(lambda: self._trials.prepared().run)


class _Along:
    """One rank's trials, and its connections to rank 0."""

    def __init__(
        self, forkers: _Forkers, listener: socket.socket, secret: str, world: World
    ) -> None:
        self._forkers, self._listener = forkers, listener
        self._secret, self._world = secret, world
        self._unopened: dict[socket.socket, bytearray] = {}
        self._trials: dict[int, socket.socket] = {}
        """The connections of those under way: the trial speaks over its own copy, and this one is closed after it."""
        self._not_begun: set[int] = set()
        """Trials that were ended before they came."""
        self._orders: socket.socket | None = None
        self._ordered = bytearray()
        self._over = False
        self._beat_at = time.monotonic()
        self._opened_until = self._beat_at + world.timeout_seconds

    def serve(self) -> None:
        """Do what rank 0 says until it hangs up."""
        while not self._over:
            waits: list[Any] = [self._listener, self._forkers.now, *self._unopened]
            if self._orders:
                waits.append(self._orders)
            ready, _, _ = select.select(waits, [], [], BEAT_SECONDS)
            if self._listener in ready:
                self._unopened[kept_alive(self._listener.accept()[0])] = bytearray()
            for connection in [each for each in self._unopened if each in ready]:
                self._read(connection)
            if self._forkers.now in ready:
                self._reap()
            if self._orders in ready:
                self._obey()
            self._beat()

    def _read(self, connection: socket.socket) -> None:
        """Its first line, as far as it has come; from anybody else than rank 0 that is its last."""
        line = self._unopened.pop(connection)
        with suppress(OSError):
            line += connection.recv(LONGEST_ORDER_BYTES, socket.MSG_DONTWAIT)
        whole = line.endswith(b"\n")
        if line and not whole and len(line) <= LONGEST_ORDER_BYTES:
            self._unopened[connection] = line
            while len(self._unopened) > MOST_UNOPENED:
                oldest = next(iter(self._unopened))
                del self._unopened[oldest]
                oldest.close()
            return
        with suppress(ValidationError):
            opening = Opening.model_validate_json(bytes(line))
            if hmac.compare_digest(opening.secret.encode(), self._secret.encode()):
                self._open(connection, opening)
                return
        connection.close()

    def _open(self, connection: socket.socket, opening: Opening) -> None:
        number = opening.number
        if number is None:
            self._orders = connection
        elif number in self._not_begun:
            connection.close()
        else:
            self._trials[number] = connection
            try:
                self._forkers.now.start_over(connection, number, opening.params, opening.threads)
            except ForkerGone as error:
                self._fork_again(error)

    def _reap(self) -> None:
        try:
            for gone in self._forkers.now.heard():
                self._ended(gone)
        except ForkerGone as error:
            self._fork_again(error)

    def _fork_again(self, gone: ForkerGone) -> None:
        self._forkers.next(gone)
        for number in list(self._trials):
            self._ended(Gone(number, None))

    def _ended(self, gone: Gone) -> None:
        """Rank 0 has all that a trial said once its connection ends, whoever else has a copy of it."""
        connection = self._trials.pop(gone.number)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        connection.close()
        self._tell(to_json(gone) + b"\n")

    def _obey(self) -> None:
        try:
            said = self._orders.recv(1 << 16, socket.MSG_DONTWAIT) if self._orders else b""
        except BlockingIOError:  # it was readable for its first line
            return
        except OSError as error:
            raise self._missing(f"its connection was lost: {error}") from error
        self._over = not said
        *lines, rest = bytes(self._ordered + said).split(b"\n")
        self._ordered = bytearray(rest)
        for line in lines:
            number = Kill.model_validate_json(line).number
            if number in self._trials:
                self._forkers.now.kill(number)
            else:
                self._not_begun.add(number)

    def _beat(self) -> None:
        """Be heard of, now and then. Raises `RankMissing`."""
        at = time.monotonic()
        if self._orders and at >= self._beat_at + BEAT_SECONDS:
            self._tell(b"\n")
        elif not self._orders and at > self._opened_until:
            raise self._missing(f"it has not come within {self._world.timeout_seconds:g} s")

    def _tell(self, line: bytes) -> None:
        if not self._orders or self._over:
            return
        try:
            self._orders.sendall(line)
        except OSError as error:
            raise self._missing(f"its connection was lost: {error}") from error
        self._beat_at = time.monotonic()

    def _missing(self, why: str) -> RankMissing:
        world = self._world
        return RankMissing(f"rank {world.rank} of {world.size} has no rank 0 any more: {why}")
