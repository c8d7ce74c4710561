"""In which order waiting runs start: a pure function of who waits, who has what, and who had the last turns.

| among the runs that wait                                     | first is                                           |
| ------------------------------------------------------------ | -------------------------------------------------- |
| those of a team that has as many slots as its quota          | nobody: they let the others pass                   |
| those of a team whose next needs more slots than are left    | nobody, likewise: of its team nobody passes it     |
| those of several priorities                                  | the highest                                        |
| the same, after a start that passed a run of a lower one     | the run that has waited longest                    |
| those of several teams                                       | the team with the fewest slots, then the team      |
|                                                              | whose turn is the longest ago                      |
| those of several people of a team                            | likewise                                           |
| those of one person                                          | first come                                         |

By the third row every second start, at least, is that of the run that has waited longest, where priorities pass it: so
nobody waits more than about twice as long as where all are equal. Runs of no team are those of one team, as far as turns
go.
"""

import copy
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trainyard.contract import Priority

NO_QUOTAS: Mapping[str, int] = {}
Owner = tuple[str | None, ...]
"""A team, or a team and a person."""


@dataclass(frozen=True)
class Claim:
    """One run that waits, or has a slot."""

    run_id: str
    priority: Priority
    team: str | None
    person: str | None
    arrived: int
    """It grows with each run that comes."""
    slots: int = 1
    """As many as it has workers."""

    @property
    def owners(self) -> tuple[Owner, Owner]:
        """Whose it is."""
        return (self.team,), (self.team, self.person)


@dataclass
class Standing:
    """Who has how many slots, and who had the last turns."""

    held: Counter[Owner] = field(default_factory=Counter)
    turns: dict[Owner, int] = field(default_factory=dict)
    """The number of each owner's newest start."""
    starts: int = 0
    passed: bool = False
    """Whether the last start passed a run of a lower priority that had waited longer."""

    def started(self, claim: Claim, waiting: Iterable[Claim]) -> None:
        """It has a slot now, and those still wait that might have had it."""
        self.starts += 1
        for owner in claim.owners:
            self.held[owner] += claim.slots
            self.turns[owner] = self.starts
        self.passed = any(
            each.arrived < claim.arrived and each.priority.rank < claim.priority.rank
            for each in waiting
        )

    def ended(self, claim: Claim) -> None:
        """It has no slot any more."""
        self.held.subtract(dict.fromkeys(claim.owners, claim.slots))

    def left(self, team: str | None, quotas: Mapping[str, int]) -> int | None:
        """How many more slots the team may have; None for any number."""
        quota = None if team is None else quotas.get(team)
        return None if quota is None else max(0, quota - self.held[team,])

    def short_of(self, claim: Claim, quotas: Mapping[str, int]) -> bool:
        """Whether its team may not have as many more slots as it needs."""
        left = self.left(claim.team, quotas)
        return left is not None and left < claim.slots


def next_up(
    waiting: Iterable[Claim], standing: Standing, quotas: Mapping[str, int] = NO_QUOTAS
) -> Claim | None:
    """The run that starts next; None where nobody waits who may. See the table."""
    may = list(waiting)
    while may:
        claim = _foremost(may, standing)
        if not standing.short_of(claim, quotas):
            return claim
        may = [each for each in may if each.team != claim.team]
    return None


def _foremost(may: Sequence[Claim], standing: Standing) -> Claim:
    """The first of those, whatever their teams may have."""
    if standing.passed:
        return min(may, key=_arrived)
    top = max((claim.priority for claim in may), key=_rank)
    may = [claim for claim in may if claim.priority is top]
    for level in range(2):
        owner = min((claim for claim in may), key=lambda claim: _turn(claim, level, standing))
        may = [claim for claim in may if claim.owners[level] == owner.owners[level]]
    return min(may, key=_arrived)


def in_order(
    waiting: Sequence[Claim],
    standing: Standing,
    quotas: Mapping[str, int] = NO_QUOTAS,
    *,
    most: int,
) -> list[Claim]:
    """All of them: as they would start if nobody came and none ended, `most` of them; then the others as they came.

    Only the first of each person and priority is looked at for each place, so that many cost little.
    """
    groups: dict[tuple[Priority, Owner], deque[Claim]] = {}
    for claim in sorted(waiting, key=_arrived):
        groups.setdefault((claim.priority, claim.owners[1]), deque()).append(claim)
    then, found = copy.deepcopy(standing), dict[str, Claim]()
    while len(found) < most:
        heads = [group[0] for group in groups.values() if group]
        following = next_up(heads, then, quotas)
        if following is None:
            break
        groups[following.priority, following.owners[1]].popleft()
        then.started(following, heads)
        found[following.run_id] = following
    rest = [claim for claim in sorted(waiting, key=_arrived) if claim.run_id not in found]
    return [*found.values(), *rest]


def _arrived(claim: Claim) -> int:
    return claim.arrived


def _rank(priority: Priority) -> int:
    return priority.rank


def _turn(claim: Claim, level: int, standing: Standing) -> tuple[int, int, int]:
    owner = claim.owners[level]
    return standing.held[owner], standing.turns.get(owner, 0), claim.arrived
