"""The trials under way: started while there is room, heard, pruned, and ended."""

import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import Trial

from trainyard.contract import Direction
from trainyard.rundir.metric_journal import Measured
from trainyard.signal_names import signal_name
from trainyard.trainer import Interrupted
from trainyard.worker.search.forker import ForkerGone, Forks, Gone
from trainyard.worker.search.metric import comparable, pruned_by
from trainyard.worker.search.record import TrialRecord, now
from trainyard.worker.search.study import Study
from trainyard.worker.search.trial import GO_ON, PRUNE, message_of

LOOK_SECONDS = 0.5
"""How soon a wish to end the search is noticed."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where trials run, each with a thread at least: a rank of the run."""

    forks: Forks
    most: int
    """Trials at once."""
    threads: int
    """Of one of its slots."""
    slots: Callable[[], int] = lambda: 1
    """How many it has now: a trial that is begun has its share of all their threads, and none is begun without a slot."""
    rank: int = 0


@dataclass
class _Running:
    trial: Trial
    place: Place
    connection: socket.socket
    record: TrialRecord
    threads: int
    heard: bytearray = field(default_factory=bytearray)
    hung_up: bool = False
    gone: Gone | None = None
    pruned: bool = False
    finished: dict[str, Any] = field(default_factory=dict)


class TrialsUnderWay:
    """Keeps as many trials running as the places have room for, until `wanted` have ended.

    The first place is the search's own. `changed` is called when trials were begun, or when all are over.
    """

    def __init__(  # noqa: PLR0913 - what a search is made of
        self,
        study: Study,
        places: Sequence[Place],
        *,
        metric: str,
        direction: Direction,
        folder: Path,
        wanted: int,
        changed: Callable[[], None],
        ended: Callable[[TrialRecord], None],
    ) -> None:
        self._study, self._places = study, places
        self._metric, self._direction = metric, direction
        self._folder = folder
        self._wanted = wanted
        self._changed, self._ended = changed, ended
        self._running: dict[int, _Running] = {}

    def run(self, *, is_over: Callable[[], bool], is_stopping: Callable[[], bool]) -> None:
        """Run them. `is_over` ends the search with what it found; when `is_stopping` this raises `Interrupted`.

        Raises `ForkerGone`: the trials under way were ended with the forker, and will be tried again.
        """
        with _woken_by_signals() as wake:
            try:
                while not is_stopping() and not is_over():
                    self._start()
                    if not self._running and self._places[0].slots() > 0:
                        break
                    self._hear(wake)
            except ForkerGone:
                self._stop(interrupted=True)
                raise
            self._stop(interrupted=is_stopping())
            while not is_stopping() and self._places[0].slots() < 1:
                self._hear(wake)  # the best is trained in its own slot
        if is_stopping():
            raise Interrupted

    def _start(self) -> None:
        before = len(self._running)
        while (
            (room := self._room())
            and len(self._study.ended) + len(self._running) < self._wanted
            and not self._study.exhausted
        ):
            place, threads = room
            trial, params = self._study.ask()
            record = TrialRecord(number=trial.number, params=params, began=now(), rank=place.rank)
            try:
                connection = place.forks.start(trial.number, params, threads)
            except ForkerGone:
                self._end(trial, record, interrupted=True)
                raise
            self._running[trial.number] = _Running(trial, place, connection, record, threads)
        if len(self._running) > before:
            self._changed()

    def _room(self) -> tuple[Place, int] | None:
        """Where a trial is begun now, of the places with room the one with fewest, and with how many threads."""
        found = [(place, threads) for place in self._places if (threads := self._threads_at(place))]
        return min(found, key=lambda each: len(self._at(each[0])), default=None)

    def _threads_at(self, place: Place) -> int:
        """How many threads a trial has that is begun there now; 0 where there is no room for one."""
        threads = place.slots() * place.threads
        if threads < 1:
            return 0
        at_once = min(place.most, threads)
        share = threads // at_once
        there = self._at(place)
        in_use = sum(each.threads for each in there)
        return share if len(there) < at_once and in_use + share <= threads else 0

    def _at(self, place: Place) -> list[_Running]:
        return [each for each in self._running.values() if each.place is place]

    @property
    def running(self) -> int:
        """How many trials are under way."""
        return len(self._running)

    @property
    def slots_used(self) -> int:
        """Of the search's own place, by its trials' threads."""
        own = self._places[0]
        return math.ceil(sum(each.threads for each in self._at(own)) / own.threads)

    def _hear(self, wake: int) -> None:
        """Hear trials until one is gone, a signal came, or it is time to look at the wishes of others."""
        until = time.monotonic() + LOOK_SECONDS
        while (left := until - time.monotonic()) > 0 and self._only_heard(wake, left):
            pass

    def _only_heard(self, wake: int, seconds: float) -> bool:
        """Hear what there is within so long; whether trials spoke, and nothing else happened."""
        connections = {each.connection: each for each in self._running.values() if not each.hung_up}
        forks = [each.forks for each in self._places]
        waits: list[Any] = [wake, *forks, *connections]
        ready, _, _ = select.select(waits, [], [], seconds)
        for one in ready:
            if one in connections:
                self._read(connections[one])
        if wake in ready:
            os.read(wake, 4096)
        for one in forks:
            for gone in one.heard() if one in ready else ():
                if gone.number in self._running:
                    self._running[gone.number].gone = gone
        ended = [each for each in self._running.values() if _is_over(each)]
        for each in ended:
            self._close(self._running.pop(each.trial.number))
        return bool(ready) and not ended and all(one in connections for one in ready)

    def _read(self, running: _Running) -> bool:
        """Take in what a trial says; False once there is nothing more."""
        try:
            said = running.connection.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            said = b""
        running.heard += said
        *lines, rest = bytes(running.heard).split(b"\n")
        running.heard = bytearray(rest)
        for line in lines:
            self._take(running, message_of(line))
        running.hung_up = not said
        return bool(said)

    def _take(self, running: _Running, message: dict[str, Any]) -> None:
        if "rounds" in message:
            running.record.rounds += [Measured(*each) for each in message["rounds"]]
            running.record.total, running.record.unit = message["total"], message["unit"]
        elif "step" in message:
            running.pruned = self._falls_behind(running.trial, message["step"], message["of"])
            with suppress(OSError):
                running.connection.sendall(PRUNE if running.pruned else GO_ON)
        elif message:
            running.finished = message

    def _falls_behind(self, trial: Trial, step: int, metrics: dict[str, float]) -> bool:
        name = pruned_by(self._metric, metrics)
        if name is None:
            return False
        trial.report(comparable(name, metrics[name], self._direction), step)
        return trial.should_prune()

    def _close(self, running: _Running) -> None:
        while self._read(running):
            pass
        running.connection.close()
        record, trial, found = running.record, running.trial, running.finished
        code = running.gone and running.gone.code
        if code is None:
            self._end(trial, record, interrupted=True)
            return
        metrics = found.get("metrics", {})
        record.value, record.metrics, record.ended = metrics.get(self._metric), metrics, now()
        if running.pruned:
            record.end = "pruned"
        elif record.value is not None:
            record.end = "completed"
        else:
            record.end, record.why = "failed", _why(found, metrics, self._metric, code)
        record.write(self._folder)
        match record.end:
            case "pruned":
                self._study.pruned(trial)
            case "completed":
                self._study.completed(trial, record.value or 0.0)
            case _:
                self._study.failed(trial, record.why)
        self._ended(record)

    def _stop(self, *, interrupted: bool) -> None:
        """End the trials that there are. Those of a run that is interrupted are tried again, should it go on."""
        for number, running in self._running.items():
            running.place.forks.kill(number)
            running.connection.close()
            self._end(running.trial, running.record, interrupted=interrupted)
        if self._running:
            self._running.clear()
            self._changed()

    def _end(self, trial: Trial, record: TrialRecord, *, interrupted: bool) -> None:
        record.end, record.ended = ("lost" if interrupted else "stopped"), now()
        record.write(self._folder)
        if interrupted:
            self._study.lost(trial)
        else:
            self._study.stopped(trial)
        self._ended(record)


def _is_over(running: _Running) -> bool:
    """Whether its process is gone, and all that it said is here: another rank's says it elsewhere than its end is told."""
    return running.gone is not None and (running.hung_up or running.place.rank == 0)


def _why(found: dict[str, Any], metrics: dict[str, float], metric: str, code: int) -> str:
    if "failed" in found:
        return f"{found['failed']}: {found['why']}"
    if metrics:
        return f"{metric} is undefined for these rows"
    if code < 0:
        return f"killed_by_signal: its process was ended by {signal_name(-code)}"
    return f"crashed: its process ended with exit code {code}"


@contextmanager
def _woken_by_signals() -> Iterator[int]:
    """A pipe that can be read from once a signal came."""
    wake, poke = os.pipe()
    os.set_blocking(poke, False)
    before = signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
    try:
        yield wake
    finally:
        signal.set_wakeup_fd(before)
        os.close(wake)
        os.close(poke)
