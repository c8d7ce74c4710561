"""The ranks of one run: several processes, wherever they are, that are one to whoever started them."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from trainyard.contract import Phase
from trainyard.launcher.messages import (
    Gather,
    Gathered,
    Noted,
    PhaseEntered,
    Progressed,
    Warned,
)
from trainyard.launcher.process_id import id_of_all
from trainyard.launcher.protocol import AlwaysHeard, Listener, Process, RankEnd, Used

LAST_WORDS_SECONDS = 3.0
"""How long the others may take, once one has failed, to end by themselves and say why."""
LOOK_SECONDS = 1.0
"""How often it is looked whether a member is still heard of."""


class Gang(AlwaysHeard):
    """See `protocol.Process` and what `protocol` says about ranks. Its members join one by one, in the order of their ranks."""

    def __init__(self, *, last_words_seconds: float = LAST_WORDS_SECONDS) -> None:
        self._last_words_seconds = last_words_seconds
        self._members: list[Process] = []
        self._trained: set[int] = set()
        self._ends: list[RankEnd] = []
        self._asked_to_stop = self._ended_all = False
        self._failed_at: float | None = None
        self._missed: dict[int, str] = {}
        self._over: asyncio.Task[None] | None = None

    def join(self, member: Process) -> None:
        """The process of the next rank."""
        self._members.append(member)

    def hears(self, rank: int, listener: Listener) -> Listener:
        """Notes who has trained to the end, and hands on what rank 0 says."""

        def hear(event: PhaseEntered | Progressed | Noted | Warned) -> None:
            if isinstance(event, PhaseEntered) and event.phase is Phase.EVALUATING:
                self._trained.add(rank)
            if rank == 0:
                listener(event)

        return hear

    @property
    def id(self) -> str:
        """Those of its members."""
        return id_of_all(member.id for member in self._members)

    @property
    def ranks(self) -> Sequence[RankEnd]:
        """Those that have ended, in the order in which they did."""
        return tuple(self._ends)

    @property
    def used(self) -> Used:
        """What all have used together; of the memory no less than that, as not all used their most at once."""
        each = [member.used for member in self._members]
        seconds = [used.cpu_seconds for used in each]
        memory = [used.peak_memory_mb for used in each]
        return Used(
            cpu_seconds=None if None in seconds else sum(filter(None, seconds)),
            peak_memory_mb=None if None in memory else sum(filter(None, memory)),
            over_limit_mb=next(filter(None, (used.over_limit_mb for used in each)), None),
        )

    async def ended(self) -> int | None:
        """Wait until all are gone. The exit code of rank 0."""
        if self._over is None:
            self._over = asyncio.create_task(self._follow())
        await asyncio.shield(self._over)
        return next((end.code for end in self._ends if end.rank == 0), None)

    def ask_to_stop(self) -> None:
        """Rank 0 may save a checkpoint; the others are ended once it has left."""
        self._asked_to_stop = True
        if self._members:
            self._members[0].ask_to_stop()

    def kill(self) -> None:
        """End all."""
        self._ended_all = True
        for member in self._members:
            member.kill()

    def release(self) -> None:
        """End what they left behind, and forget them."""
        if self._over:
            self._over.cancel()
        for member in self._members:
            member.release()

    def let_go(self) -> None:
        """Leave each to a later service, or end it, as its launcher does."""
        if self._over:
            self._over.cancel()
        for member in self._members:
            member.let_go()

    async def _follow(self) -> None:
        """See each to its end, and end all that are left once rank 0 has ended, or once one has failed and had its time."""
        waits = {
            asyncio.create_task(member.ended()): rank for rank, member in enumerate(self._members)
        }
        try:
            while waits:
                over, _ = await asyncio.wait(
                    waits, timeout=self._pause, return_when=asyncio.FIRST_COMPLETED
                )
                for task in over:
                    self._note(waits.pop(task), task.result())
                self._miss(waits.values())
                if not self._ended_all and (self._is_over or self._seconds_left == 0.0):
                    self.kill()
                if self._ended_all and self._nobody_is_waited_for(waits.values()):
                    for rank in waits.values():
                        self._note(rank, None)
                    return
        finally:
            for task in waits:
                task.cancel()

    @property
    def _pause(self) -> float:
        return LOOK_SECONDS if self._seconds_left is None else min(LOOK_SECONDS, self._seconds_left)

    def _miss(self, ranks: Iterable[int]) -> None:
        """A rank that is not heard of has failed, and all who wait for it are ended at once."""
        for rank in ranks:
            host = self._members[rank].missed
            if host and rank not in self._trained and not (self._ended_all or self._asked_to_stop):
                self._missed[rank] = host
        if self._missed and self._failed_at is None:
            self._failed_at = -math.inf

    def _nobody_is_waited_for(self, ranks: Iterable[int]) -> bool:
        """Whether all that are left are not heard of, and write nothing that another attempt could write too."""
        return all(rank and self._members[rank].missed for rank in ranks)

    @property
    def _seconds_left(self) -> float | None:
        """Until those that are left are ended because one has failed; None where none has."""
        if self._ended_all or self._failed_at is None:
            return None
        return max(0.0, self._failed_at + self._last_words_seconds - time.monotonic())

    @property
    def _is_over(self) -> bool:
        """Whether rank 0 has ended, and needs nobody any more."""
        return any(end.rank == 0 and (end.trained or self._asked_to_stop) for end in self._ends)

    def _note(self, rank: int, code: int | None) -> None:
        member = self._members[rank]
        lost_with = self._missed.get(rank) or member.missed or member.lost_with
        cut_from = member.cut_from
        end = RankEnd(
            rank,
            code,
            trained=rank in self._trained,
            was_ended=self._ended_all and not (lost_with or cut_from),
            over_limit_mb=member.used.over_limit_mb,
            for_memory=member.for_memory,
            lost_with=lost_with,
            cut_from=cut_from,
        )
        self._ends.append(end)
        if end.failed and not self._asked_to_stop and self._failed_at is None:
            self._failed_at = time.monotonic()


class Board:
    """Where the ranks of a gang give their texts, each key once by each rank."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._given: dict[str, dict[int, str]] = {}
        self._say: dict[int, Callable[[Gathered], None]] = {}

    def seat(self, rank: int, say: Callable[[Gathered], None]) -> None:
        """Where a rank hears the answers."""
        self._say[rank] = say

    def take(self, rank: int, given: Gather) -> None:
        """A rank gives its text. Once all have, each is told all; one that asks again later is told again."""
        texts = self._given.setdefault(given.key, {})
        texts[rank] = given.value
        if len(texts) < self._size:
            return
        answer = Gathered(key=given.key, values=tuple(texts[each] for each in range(self._size)))
        for say in self._say.values():
            with suppress(RuntimeError):  # its line is being closed
                say(answer)
