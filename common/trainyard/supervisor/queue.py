"""The runs that wait, in the order in which they start, and whose turn it was."""

import itertools
from collections.abc import Mapping

from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.order import Claim, Standing, in_order, next_up

MOST_ORDERED = 200
"""Places that are told exactly; behind them runs are shown as they came."""


class Queue:
    """Waiting runs, and the claims of those that have a slot."""

    def __init__(self, quotas: Mapping[str, int]) -> None:
        self._quotas = quotas
        self._waiting: dict[str, LiveRun] = {}
        self._claims: dict[str, Claim] = {}
        self._standing = Standing()
        self._arrivals = itertools.count(1)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, live: LiveRun) -> bool:
        return live.run_id in self._waiting

    def add(self, live: LiveRun) -> None:
        """It waits. One that had a slot, and gave way, has waited since it first came."""
        if live.run_id not in self._claims:
            self._claims[live.run_id] = Claim(
                run_id=live.run_id,
                priority=live.run.priority,
                team=live.run.team,
                person=live.run.submitted_by,
                arrived=next(self._arrivals),
                slots=live.run.workers,
            )
        self._waiting[live.run_id] = live

    def remove(self, live: LiveRun) -> None:
        """It waits no more, and never had a slot."""
        del self._waiting[live.run_id], self._claims[live.run_id]

    def first(self) -> LiveRun | None:
        """The run that starts next, if it has what it needs; None where none may."""
        claim = next_up(self._waiting_claims(), self._standing, self._quotas)
        return self._waiting[claim.run_id] if claim else None

    def start(self, live: LiveRun) -> None:
        """It has a slot."""
        del self._waiting[live.run_id]
        may = (each for each in self._waiting_claims() if not self._capped(each))
        self._standing.started(self._claims[live.run_id], may)

    def gave_back(self, live: LiveRun, *, waits_again: bool) -> None:
        """It has no slot any more."""
        self._standing.ended(self._claims[live.run_id])
        if waits_again:
            self.add(live)
        else:
            del self._claims[live.run_id]

    def in_order(self) -> list[LiveRun]:
        """All that wait, the next first."""
        claims = in_order(self._waiting_claims(), self._standing, self._quotas, most=MOST_ORDERED)
        return [self._waiting[each.run_id] for each in claims]

    def may_start(self, live: LiveRun) -> bool:
        """Whether its team would not have more slots than its quota."""
        return not self._capped(self._claims[live.run_id])

    def slots_left(self, live: LiveRun) -> int | None:
        """How many more slots its team may have; None for any number."""
        return self._standing.left(live.run.team, self._quotas)

    def _capped(self, claim: Claim) -> bool:
        return self._standing.short_of(claim, self._quotas)

    def _waiting_claims(self) -> list[Claim]:
        return [self._claims[run_id] for run_id in self._waiting]
