"""What a service has, and which run has how much of it. Nothing here waits, or touches the machine.

A run that asks for CPUs is given cores of its own while they last: so many that no other run was given. One that does
not has its slot's share of the CPUs as threads, on whatever core. ADR 17 has the reasons.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from trainyard.contract import Amount, FieldError, Placement, Resources

MEMORY = "MB of memory"
Part = TypeVar("Part")


@dataclass(frozen=True)
class Need:
    """What one run needs, all its workers together."""

    cpus: int
    own_cores: bool = False
    """Whether these are to be the run's own."""
    gpus: int | None = None
    """None: it sees what the service sees."""
    memory_mb: int | None = None
    """None: it has no limit."""
    workers: int = 1
    """Each needs a slot."""


@dataclass(frozen=True)
class Allotment:
    """What one run has, all its workers together."""

    cpus: int
    cores: tuple[int, ...] = ()
    """Its own; empty where it may run on any."""
    gpus: tuple[str, ...] | None = None
    """Its own, and the only ones that it sees; None where it sees what the service sees."""
    memory_mb: int | None = None
    workers: int = 1
    placement: tuple[Placement, ...] = ()
    """The host that it has this of, or that each of its workers has; empty where that is the service's own."""
    parts: tuple["Allotment", ...] = ()
    """What each of its workers has, where not all have as much: on several hosts."""

    @property
    def shares(self) -> tuple["Allotment", ...]:
        """What each of its workers has."""
        return self.parts or tuple(self._share(rank) for rank in range(self.workers))

    @classmethod
    def of_all(cls, parts: Sequence["Allotment"]) -> "Allotment":
        """What several workers have together, each of which has one of these."""
        gpus = [each.gpus for each in parts if each.gpus is not None]
        memory = [each.memory_mb for each in parts if each.memory_mb is not None]
        return cls(
            cpus=sum(each.cpus for each in parts),
            cores=tuple(core for each in parts for core in each.cores),
            gpus=tuple(chain(*gpus)) if gpus else None,
            memory_mb=sum(memory) if memory else None,
            workers=len(parts),
            placement=tuple(place for each in parts for place in each.placement),
            parts=tuple(parts),
        )

    def _share(self, rank: int) -> "Allotment":
        def part(of: tuple[Part, ...]) -> tuple[Part, ...]:
            each = len(of) // self.workers
            return of[rank * each : (rank + 1) * each]

        return Allotment(
            cpus=self.cpus // self.workers,
            cores=part(self.cores),
            gpus=None if self.gpus is None else part(self.gpus),
            memory_mb=None if self.memory_mb is None else self.memory_mb // self.workers,
        )


@dataclass(frozen=True)
class There:
    """All that a service can give, and what a run has that asks for nothing."""

    slots: int
    cpus: int
    cores: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()
    memory_mb: int = 0
    usual: Need = Need(1)

    @property
    def all_cpus(self) -> int:
        """As many as are counted: each slot has one at least, also where there are more slots than CPUs."""
        return max(self.cpus, self.slots * self.usual.cpus if not self.usual.own_cores else 0)

    def need(self, asked: Resources | None) -> Need:
        """What a run needs that asks for this."""
        usual, asked = self.usual, asked or Resources()
        gpus = usual.gpus if asked.gpus is None else asked.gpus
        memory_mb = usual.memory_mb if asked.memory_mb is None else asked.memory_mb
        return Need(
            cpus=(usual.cpus if asked.cpus is None else asked.cpus) * asked.workers,
            workers=asked.workers,
            own_cores=usual.own_cores or asked.cpus is not None,
            gpus=None if gpus is None else gpus * asked.workers,
            memory_mb=None if memory_mb is None else memory_mb * asked.workers,
        )

    def never_fits(self, asked: Resources | None) -> tuple[FieldError, ...]:
        """What of this there will never be, a sentence for each field."""
        if asked is None:
            return ()
        need, workers = self.need(asked), asked.workers
        one = workers == 1  # then what the service gives each run was looked at as it started
        wanted = (
            ("workers", workers if workers > 1 else None, self.slots, "slot"),
            ("cpus", None if asked.cpus is None else need.cpus, self.cpus, "CPU"),
            ("gpus", asked.gpus if one else need.gpus, len(self.gpus), "GPU"),
            ("memory_mb", asked.memory_mb if one else need.memory_mb, self.memory_mb, MEMORY),
        )
        found = []
        for field, count, total, what in wanted:
            if count is not None and count > total:
                by = "" if one else f" by {workers} workers"
                has = f"{total:,}" if total else "none"
                most = _most(field, total // (1 if field == "workers" else workers))
                said = f"{_many(count, what)} asked for{by}, and there are {has}; {most}"
                found.append(_wrong(field, said))
        return tuple(found)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (what != MEMORY and count != 1)}"


def _most(field: str, each: int) -> str:
    """What to ask for instead: for so many workers, or so much for each."""
    if field == "workers":
        return f"ask for {each} at most, or raise TRAINYARD_SLOTS"
    return f"ask for {each} at most" if each else "ask for 0, or leave it out"


def _wrong(field: str, detail: str) -> FieldError:
    return FieldError(pointer=f"/resources/{field}", detail=detail)


def _slots_lacked(need: Need, free: int) -> str:
    return "a slot" if need.workers == 1 else f"{need.workers} slots ({max(0, free)} free)"


class Room:
    """Who has what. `lent` is how many slots searches have beyond their own, each with its share of the CPUs."""

    def __init__(self, there: There) -> None:
        self.there = there
        self._given: dict[str, Allotment] = {}

    @property
    def slots(self) -> int:
        """Runs that may run at once."""
        return self.there.slots

    def need(self, asked: Resources | None) -> Need:
        """What a run needs that asks for this."""
        return self.there.need(asked)

    def never_fits(self, asked: Resources | None) -> tuple[FieldError, ...]:
        """What of this there will never be, a sentence for each field."""
        return self.there.never_fits(asked)

    def is_gone(self, run_id: str) -> bool:  # noqa: ARG002
        """Whether what the run had can be used no more: the service's own host stays as long as the service."""
        return False

    def of(self, run_id: str) -> Allotment:
        """What the run has."""
        return self._given[run_id]

    def lacks(self, need: Need, lent: int = 0) -> list[str]:
        """What there is too little of for it now, in words; empty where it may start."""
        free = self.there.slots - self.slots_used - lent
        found = [] if need.workers <= free else [_slots_lacked(need, free)]
        of_the_slot = bool(found) and not need.own_cores
        for count, free, what in (
            (0 if of_the_slot else need.cpus, self._cpus_free(lent), "CPU"),
            (need.gpus or 0, len(self._gpus_free()), "GPU"),
            (need.memory_mb or 0, self._memory_free(), MEMORY),
        ):
            if count > free:
                found.append(f"{_many(count, what)} ({max(0, free):,} free)")
        return found

    def fits_without(self, run_id: str, need: Need, lent: int = 0) -> bool:
        """Whether there would be room for it if this run gave back what it has."""
        others = Room(self.there)
        others._given = {other: given for other, given in self._given.items() if other != run_id}
        return not others.lacks(need, lent)

    def lacks_beside_slots(self, need: Need) -> bool:
        """Whether it lacks what no slot brings with it: a GPU, or memory."""
        return (need.gpus or 0) > len(self._gpus_free()) or (
            need.memory_mb or 0
        ) > self._memory_free()

    def lacks_slots(self, need: Need, lent: int = 0) -> int:
        """As how many slots what it lacks counts that a search could give back."""
        short = need.cpus - self._cpus_free(lent)
        slots = need.workers - (self.there.slots - self.slots_used - lent)
        return max(0, slots, math.ceil(short / self._share))

    def slots_free(self, lent: int = 0) -> int:
        """Slots that could be lent: each with its share of the CPUs."""
        free = self.there.slots - self.slots_used - lent
        return max(0, min(free, self._cpus_free(lent) // self._share))

    def take(self, run_id: str, need: Need, avoids: Collection[str] = ()) -> Allotment:
        """Give it what it needs, which `lacks` has looked at. There is no other host that could be avoided."""
        del avoids
        gpus = None if need.gpus is None else self._gpus_free()[: need.gpus]
        cores = self._cores(need.cpus) if need.own_cores else ()
        given = Allotment(need.cpus, cores, gpus, need.memory_mb, need.workers)
        self.claim(run_id, given)
        return given

    def claim(self, run_id: str, given: Allotment) -> None:
        """It has this already, from an earlier service."""
        self._given[run_id] = given

    def give_back(self, run_id: str) -> None:
        """The run has ended, or waits again."""
        del self._given[run_id]

    def amounts(self, waiting: Iterable[Need], lent: int = 0) -> dict[str, Amount]:
        """Of each kind: what there is, is used, and is waited for."""
        there, waits = self.there, list(waiting)
        return {
            "slots": Amount(
                total=there.slots,
                used=self.slots_used + lent,
                waited_for=sum(each.workers for each in waits),
            ),
            "cpus": Amount(
                total=there.all_cpus,
                used=there.all_cpus - self._cpus_free(lent),
                waited_for=sum(each.cpus for each in waits),
            ),
            "gpus": Amount(
                total=len(there.gpus),
                used=len(there.gpus) - len(self._gpus_free()),
                waited_for=sum(each.gpus or 0 for each in waits),
            ),
            "memory_mb": Amount(
                total=there.memory_mb,
                used=there.memory_mb - self._memory_free(),
                waited_for=sum(each.memory_mb or 0 for each in waits),
            ),
        }

    @property
    def slots_used(self) -> int:
        """By runs, for their own."""
        return sum(given.workers for given in self._given.values())

    @property
    def _share(self) -> int:
        return self.there.usual.cpus

    def _cpus_free(self, lent: int) -> int:
        used = sum(given.cpus for given in self._given.values())
        return self.there.all_cpus - used - lent * self._share

    def _gpus_free(self) -> tuple[str, ...]:
        used = {gpu for given in self._given.values() for gpu in given.gpus or ()}
        return tuple(gpu for gpu in self.there.gpus if gpu not in used)

    def _memory_free(self) -> int:
        return self.there.memory_mb - sum(given.memory_mb or 0 for given in self._given.values())

    def _cores(self, count: int) -> tuple[int, ...]:
        used = {core for given in self._given.values() for core in given.cores}
        free = tuple(core for core in self.there.cores if core not in used)
        return free[:count] if len(free) >= count else ()
