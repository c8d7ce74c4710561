"""Slots that nobody needs, lent to searches whose trials can use them, and asked back as soon as a run waits.

Where that is not enough, a search is asked for its own slot too, which it has again when another run ends: it has lent
-1 meanwhile. A slot that is asked back is free once the search says that it has left it: the trial in it is trained to
its end, and no other is begun there.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Loan:
    """Of one search, beyond its own slot; -1 where it does without that one."""

    wanted: int = 0
    lent: int = 0
    used: int = 0
    left_at: float = 0.0
    """When it last used no slot."""
    keeps_until: float = 0.0
    """Until when its own slot is not asked back."""

    @property
    def is_away(self) -> bool:
        """Whether it has given its own slot up."""
        return self.lent < 0 and self.used < 0

    @property
    def out(self) -> int:
        """Slots that are not free."""
        return max(self.lent, self.used)


class Lending:
    """Who has how many slots beyond their own."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._loans: dict[str, Loan] = {}

    @property
    def out(self) -> int:
        """Slots that are lent, or asked back and not yet left; without those that searches have given up."""
        return sum(each.out for each in self._loans.values())

    def lent_to(self, run_id: str) -> int:
        """How many the search may use."""
        loan = self._loans.get(run_id)
        return loan.lent if loan else 0

    def is_away(self, run_id: str) -> bool:
        """Whether the search has given its own slot up, and not been given it again."""
        loan = self._loans.get(run_id)
        return loan is not None and loan.is_away

    def told(self, run_id: str, *, wanted: int, used: int) -> None:
        """What a search says of itself."""
        loan = self._loans.setdefault(run_id, Loan())
        if used < 0 <= loan.used:
            loan.left_at = self._now()
        loan.wanted, loan.used = wanted, used

    def come_back(self) -> str | None:
        """A slot is free: the search that has been away longest has it, for as long as it was away at least; None for none."""
        away = [(each.left_at, run_id) for run_id, each in self._loans.items() if each.is_away]
        if not away:
            return None
        left_at, run_id = min(away)
        loan = self._loans[run_id]
        loan.lent, loan.keeps_until = 0, 2 * self._now() - left_at
        return run_id

    def over(self, run_id: str) -> None:
        """The run does not search any more."""
        self._loans.pop(run_id, None)

    def settle(self, *, free: int, waiting: int) -> set[str]:
        """Lend what is free where nobody waits; else ask back as many as there are runs that wait, or searches away.

        Slots are lent evenly: a search that has two more than another that wants one is asked for one. Returns the searches
        whose number has changed.
        """
        before = {run_id: each.lent for run_id, each in self._loans.items()}
        for each in self._loans.values():
            each.lent = min(each.lent, each.wanted)
        if waiting:
            self._ask_back(waiting)
        else:
            self._lend(free)
            self._even_out()
            self._ask_back(sum(each.is_away for each in self._loans.values()))
        return {run_id for run_id, lent in before.items() if self._loans[run_id].lent != lent}

    @property
    def _on_their_way(self) -> int:
        """Slots that were asked back, and are not left yet."""
        return sum(each.out - each.lent for each in self._loans.values())

    def _ask_back(self, count: int) -> None:
        for _ in range(count - self._on_their_way):
            asked = max(filter(self._can_spare_one, self._loans.values()), key=_lent, default=None)
            if asked is None:
                return
            asked.lent -= 1

    def _can_spare_one(self, loan: Loan) -> bool:
        """Its own slot it gives up when it has begun a trial there since it last had it back."""
        in_its_own = loan.lent == 0 and loan.used >= 0 and self._now() >= loan.keeps_until
        return loan.lent > 0 or in_its_own

    def _even_out(self) -> None:
        wanting = [each.lent for each in self._loans.values() if each.lent < each.wanted]
        if wanting and not self._on_their_way:
            richest = max(self._loans.values(), key=_lent)
            if richest.lent > min(wanting) + 1:
                richest.lent -= 1

    def _lend(self, count: int) -> None:
        for _ in range(count):
            if self.come_back():
                continue
            wanting = [each for each in self._loans.values() if each.lent < each.wanted]
            if not wanting:
                return
            min(wanting, key=_lent).lent += 1


def _lent(loan: Loan) -> int:
    return loan.lent
