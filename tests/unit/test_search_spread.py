"""Trials on another rank: what rank 0 hears of them, and what both do when the other is lost."""

import os
import select
import signal
import socket
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from typing import Any, NoReturn

import psutil
import pytest
from servers import until
from trainyard.errors import RankMissing
from trainyard.worker.search.along import train_trials
from trainyard.worker.search.forker import Gone
from trainyard.worker.search.spread import OtherRank, other_ranks
from trainyard.world import World

SECONDS = 20.0
"""As long as ranks wait for each other."""
RANK_MISSING = 3


class Asking:
    """Trials that ask once whether to go on, and say what they were told."""

    def prepared(self) -> "Asking":
        return self

    def run(
        self, number: int, params: dict[str, Any], threads: int, connection: socket.socket
    ) -> NoReturn:
        connection.sendall(f"{number} has {params} and {threads} threads\n".encode())
        connection.sendall(b"was told " + connection.recv(1))
        os._exit(0)


class Ranks:
    """Rank 0, which is the test, and rank 1, a process."""

    def __init__(self) -> None:
        ours, its = Pipe()
        self.told: list[str] = []

        def given_here(_: str, value: str) -> Sequence[str]:
            self.told = [value, ours.recv()]
            ours.send(value)
            return self.told

        def given_there(_: str, value: str) -> Sequence[str]:
            its.send(value)
            return [its.recv(), value]

        self.world = World(size=2, exchange=given_here, timeout_seconds=SECONDS)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                trials: Any = Asking()
                there = World(rank=1, size=2, exchange=given_there, timeout_seconds=SECONDS)
                train_trials(trials, there, threads=2)
            except RankMissing:
                os._exit(RANK_MISSING)
            finally:
                os._exit(0)

    def ended(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def ranks() -> Iterator[Ranks]:
    there = Ranks()
    yield there
    if psutil.pid_exists(there.pid):
        os.kill(there.pid, signal.SIGKILL)
        there.ended()


@pytest.fixture
def other(ranks: Ranks) -> Iterator[OtherRank]:
    with other_ranks(ranks.world) as (other,):
        yield other


def heard(other: OtherRank) -> Gone:
    found: list[Gone] = []
    until(lambda: found.extend(heard_now(other)) or found, "a trial to be gone")
    (gone,) = found
    return gone


def heard_now(other: OtherRank) -> Sequence[Gone]:
    return other.heard() if select.select([other], [], [], 1)[0] else ()


def all_of(connection: socket.socket) -> str:
    with connection:
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def test_a_trial_speaks_over_a_connection_of_its_own_and_its_end_is_told(
    ranks: Ranks, other: OtherRank
) -> None:
    assert other.threads == 2
    one, two = (other.start(number, {"depth": number}, 2) for number in (1, 2))
    assert two.recv(4096) == b"2 has {'depth': 2} and 2 threads\n"
    two.sendall(b"0")
    assert all_of(two) == "was told 0"
    assert heard(other) == Gone(2, 0)
    other.kill(1)
    assert heard(other) == Gone(1, -signal.SIGKILL)
    assert all_of(one) in {"1 has {'depth': 1} and 2 threads\n", ""}
    other.close()
    assert ranks.ended() == 0


def test_trials_of_a_killed_forker_are_told_as_gone_with_it_and_another_forks(
    ranks: Ranks, other: OtherRank
) -> None:
    with other.start(1, {}, 1) as lost:
        assert lost.recv(4096)
        (forker,) = psutil.Process(ranks.pid).children()
        forker.kill()
        assert heard(other) == Gone(1, None)
    with other.start(2, {}, 1) as begun:
        assert begun.recv(4096)
        begun.sendall(b"1")
        assert heard(other) == Gone(2, 0)


def test_nobody_without_the_secret_begins_a_trial(ranks: Ranks, other: OtherRank) -> None:
    seat = other._seat
    for said in (b'{"secret": "guessed", "number": 1}\n', b"GET / HTTP/1.1\r\n\r\n", b"\xff\n"):
        with socket.create_connection((seat.host, seat.port), timeout=SECONDS) as stranger:
            stranger.sendall(said)
            assert all_of(stranger) == ""
    assert other.start(1, {}, 1).recv(4096).startswith(b"1 has")


def test_a_rank_that_has_left_or_says_nothing_any_more_is_missing(
    ranks: Ranks, other: OtherRank
) -> None:
    at = other._heard_at
    until(lambda: not heard_now(other) and other._heard_at > at, "a beat")
    other.check()
    other._heard_at -= SECONDS + 1
    with pytest.raises(RankMissing, match=r"rank 1 of 2 .*: it has said nothing for \d+ s"):
        other.check()
    os.kill(ranks.pid, signal.SIGKILL)
    with pytest.raises(RankMissing, match=r"rank 1 of 2 trains no more trials: its? "):
        until(lambda: heard_now(other), "its end")
    ranks.ended()
    with pytest.raises(RankMissing, match="cannot be reached"):
        other.start(1, {}, 1)
