"""What the hosts have that joined a service, and which run has how much of it on which hosts.

A run of one process has all that it has on one host: the one with the most free slots that has what it needs. The workers
of one run are spread over as many hosts as there are with room for one, and only then share hosts: on hosts of their own
each has the processors and the memory that its share was meant for. All of them start, or none. What an attempt was lost
with is avoided by the next one where that is possible: the service may reach a host that others do not. Slots are not lent to
searches, because one that has a slot on one host cannot use another host's.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from trainyard.contract import Amount, FieldError, Placement, Resources
from trainyard.supervisor.room import Allotment, Need, Room, There

NOTHING = There(slots=0, cpus=0)
BACK_SECONDS = 180.0
"""What a host may take to be back: until Ray ends its node, the host starts another, and that has joined."""
KINDS = ("slots", "cpus", "gpus", "memory_mb")


class Rooms:
    """A `Room` a host, by the host's node; as a whole what `Room` is of one machine. Hosts come and go.

    One that leaves may be back within `BACK_SECONDS`, or the lease where that is longer: until then nothing is refused
    that would fit with it. As long after the first is there, or is back after none was, nothing is refused at all: the
    service has just begun, or it was itself that reached no host, and the others follow one by one.
    """

    def __init__(
        self, lease_seconds: float = 0.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._back_seconds, self._now = max(lease_seconds, BACK_SECONDS), now
        self._first_at = now()
        self._left: dict[str, tuple[There, float]] = {}
        """What hosts had that are not there any more, and when they left."""
        self._others: dict[str, There] = {}
        self._rooms: dict[str, Room] = {}
        self._places: dict[str, Placement] = {}
        self._given: dict[str, Allotment] = {}

    def offered(
        self,
        offers: Mapping[str, tuple[Placement, There]],
        others: Mapping[str, There] = MappingProxyType({}),
    ) -> None:
        """These hosts are there now, and no others. What runs have on one that is not there they keep.

        To `others` nothing goes for now, as where a disk is full: what fits there waits for them, however long that takes.
        """
        self._others = dict(others)
        if offers and not self._there:
            self._first_at = self._now()
        for node, (place, there) in offers.items():
            self._room(node).there = there
            self._places[node] = place
            self._left.pop(node, None)
        for node, room in list(self._rooms.items()):
            if node not in offers:
                if room.slots:
                    self._left[node] = room.there, self._now()
                room.there = NOTHING
                self._forget_empty(node)

    @property
    def slots(self) -> int:
        """Runs that may run at once."""
        return sum(room.slots for room in self._rooms.values())

    @property
    def slots_used(self) -> int:
        """By runs, for their own."""
        return sum(given.workers for given in self._given.values())

    def of(self, run_id: str) -> Allotment:
        """What the run has."""
        return self._given[run_id]

    def is_gone(self, run_id: str) -> bool:
        """Whether its host, or one of them, is not there any more."""
        return not all(self._rooms[node].slots for node in self._nodes(run_id))

    def need(self, asked: Resources | None) -> Need:
        """What a run needs that asks for this; what it leaves open is as its host's settings say."""
        asked = asked or Resources()
        return Need(
            cpus=(asked.cpus or 1) * asked.workers,
            own_cores=asked.cpus is not None,
            gpus=None if asked.gpus is None else asked.gpus * asked.workers,
            memory_mb=None if asked.memory_mb is None else asked.memory_mb * asked.workers,
            workers=asked.workers,
        )

    def never_fits(self, asked: Resources | None) -> tuple[FieldError, ...]:
        """What of this the hosts do not have that are there, or were a while ago. Nothing while others may yet join."""
        if not self._there or self._now() < self._first_at + self._back_seconds:
            return ()
        largest = sorted(self._lately, key=lambda there: (-there.cpus, -there.memory_mb))
        one = asked and asked.model_copy(update={"workers": 1})
        found = min((there.never_fits(one) for there in largest), key=len, default=())
        if found or asked is None or asked.workers == 1:
            return found
        empty = {str(number): Room(there) for number, there in enumerate(largest)}
        most = len(_spread(empty, self.need(asked)))
        if most == asked.workers:
            return ()
        detail = (
            f"{asked.workers} workers asked for, and the hosts that have joined have room for {most};"
            f" ask for {most} at most, or have more hosts join"
        )
        return (FieldError(pointer="/resources/workers", detail=detail),)

    def lacks(self, need: Need, lent: int = 0) -> list[str]:
        """What there is too little of for it now, in words, on the host that lacks least; empty where it may start."""
        del lent
        if not self._there:
            return ["a host to join the service"]
        if need.workers == 1:
            return min((room.lacks(_here(room, need, 1)) for room in self._there), key=len)
        most = len(_spread(self._rooms, need))
        return [] if most == need.workers else [f"room for {need.workers} workers ({most} now)"]

    def fits_without(self, run_id: str, need: Need, lent: int = 0) -> bool:
        """Whether there would be room for it on this run's host if that gave back what it has. Not for one of several hosts."""
        (node, *others) = self._nodes(run_id)
        if others or need.workers > 1:
            return False
        room = self._rooms[node]
        return room.slots > 0 and room.fits_without(run_id, _here(room, need, 1), lent)

    def lacks_beside_slots(self, need: Need) -> bool:
        """Whether it lacks what no slot brings with it, everywhere."""
        return all(room.lacks_beside_slots(_here(room, need, 1)) for room in self._there)

    def lacks_slots(self, need: Need, lent: int = 0) -> int:
        """None that a search could give back."""
        del need, lent
        return 0

    def slots_free(self, lent: int = 0) -> int:
        """None that could be lent."""
        del lent
        return 0

    def take(self, run_id: str, need: Need, avoids: Collection[str] = ()) -> Allotment:
        """Give it what it needs, which `lacks` has looked at, each of its workers on the host that `_spread` says.

        It has nothing on hosts of these addresses where there is room enough elsewhere.
        """
        parts: list[Allotment] = []
        last = {node for node, place in self._places.items() if place.address in avoids}
        for node, count in Counter(_spread(self._rooms, need, last)).items():
            room = self._rooms[node]
            given = room.take(run_id, _here(room, need, count))
            for share in given.shares:
                place = self._places[node].model_copy(update={"rank": len(parts)})
                parts.append(replace(share, placement=(place,)))
        given = parts[0] if need.workers == 1 else Allotment.of_all(parts)
        self.claim(run_id, given)
        return given

    def claim(self, run_id: str, given: Allotment) -> None:
        """It has this on its hosts, which need not be there."""
        self._given[run_id] = given
        here: dict[str, list[Allotment]] = {}
        for share, place in zip(given.shares, given.placement, strict=True):
            here.setdefault(place.node, []).append(share)
            self._places.setdefault(place.node, place)
        for node, shares in here.items():
            self._room(node).claim(run_id, Allotment.of_all(shares))

    def give_back(self, run_id: str) -> None:
        """The run has ended, or waits again."""
        nodes = self._nodes(run_id)
        del self._given[run_id]
        for node in nodes:
            self._rooms[node].give_back(run_id)
            self._forget_empty(node)

    def amounts(self, waiting: Iterable[Need], lent: int = 0) -> dict[str, Amount]:
        """Of each kind, over all hosts: what there is, is used, and is waited for."""
        waits = list(waiting)
        found = [room.amounts((), lent) for room in self._rooms.values()]
        waited = Room(NOTHING).amounts(waits)
        return {
            kind: Amount(
                total=sum(each[kind].total for each in found),
                used=sum(each[kind].used for each in found),
                waited_for=waited[kind].waited_for,
            )
            for kind in KINDS
        }

    @property
    def _lately(self) -> list[There]:
        """What each host has, and had that may be back, or to which something may go again."""
        long_ago = self._now() - self._back_seconds
        self._left = {
            node: (there, at) for node, (there, at) in self._left.items() if at > long_ago
        }
        left = {node: there for node, (there, _) in self._left.items()} | self._others
        return [*(room.there for room in self._there), *left.values()]

    @property
    def _there(self) -> list[Room]:
        return [room for room in self._rooms.values() if room.slots]

    def _nodes(self, run_id: str) -> list[str]:
        """Of the run's hosts, each once."""
        return list(dict.fromkeys(place.node for place in self._given[run_id].placement))

    def _room(self, node: str) -> Room:
        return self._rooms.setdefault(node, Room(NOTHING))

    def _forget_empty(self, node: str) -> None:
        if not self._rooms[node].slots and not self._rooms[node].slots_used:
            del self._rooms[node]
            self._places.pop(node, None)


def _spread(rooms: Mapping[str, Room], need: Need, last: Collection[str] = ()) -> list[str]:
    """The host of each worker, those of one host side by side; of fewer workers than asked for where no more have room.

    One after the other each goes where the fewest are, and of these where the most slots are free. To those that are
    `last` they go when no other has room.
    """
    placed: Counter[str] = Counter()
    for _ in range(need.workers):
        able = [
            node
            for node, room in rooms.items()
            if room.slots and not room.lacks(_here(room, need, placed[node] + 1))
        ]
        if not able:
            break
        free = {node: rooms[node].slots - rooms[node].slots_used - placed[node] for node in able}
        placed[min(able, key=lambda node: (node in last, placed[node], -free[node]))] += 1
    return list(placed.elements())


def _here(room: Room, need: Need, workers: int) -> Need:
    """What so many of its workers need on this host."""

    def each(total: int | None) -> int | None:
        return None if total is None else total // need.workers

    return room.there.need(
        Resources(
            workers=workers,
            cpus=each(need.cpus) if need.own_cores else None,
            gpus=each(need.gpus),
            memory_mb=each(need.memory_mb),
        )
    )
