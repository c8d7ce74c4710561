"""Slots that nobody needs, lent to searches whose trials can use them, and asked back as soon as a run waits.

A run's own slot is never lent or taken. A lent slot that is asked back is free again once the search says that it has
left it: the trial in it is trained to its end, and no other is begun there.
"""

from dataclasses import dataclass


@dataclass
class Loan:
    """Of one search, beyond its own slot."""

    wanted: int = 0
    lent: int = 0
    used: int = 0

    @property
    def out(self) -> int:
        """Slots that are not free."""
        return max(self.lent, self.used)


class Lending:
    """Who has how many slots beyond their own."""

    def __init__(self) -> None:
        self._loans: dict[str, Loan] = {}

    @property
    def out(self) -> int:
        """Slots that are lent, or asked back and not yet left."""
        return sum(each.out for each in self._loans.values())

    def lent_to(self, run_id: str) -> int:
        """How many the search may use."""
        loan = self._loans.get(run_id)
        return loan.lent if loan else 0

    def told(self, run_id: str, *, wanted: int, used: int) -> None:
        """What a search says of itself."""
        loan = self._loans.setdefault(run_id, Loan())
        loan.wanted, loan.used = wanted, used

    def over(self, run_id: str) -> None:
        """The search's process is gone."""
        self._loans.pop(run_id, None)

    def settle(self, *, free: int, waiting: int) -> set[str]:
        """Lend what is free where nobody waits; else ask back as many as there are runs that wait.

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
        return {run_id for run_id, lent in before.items() if self._loans[run_id].lent != lent}

    @property
    def _on_their_way(self) -> int:
        """Slots that were asked back, and are not left yet."""
        return sum(each.out - each.lent for each in self._loans.values())

    def _ask_back(self, count: int) -> None:
        for _ in range(count - self._on_their_way):
            richest = max(self._loans.values(), key=lambda each: each.lent, default=None)
            if richest is None or richest.lent == 0:
                return
            richest.lent -= 1

    def _even_out(self) -> None:
        wanting = [each.lent for each in self._loans.values() if each.lent < each.wanted]
        if wanting and not self._on_their_way:
            richest = max(self._loans.values(), key=lambda each: each.lent)
            if richest.lent > min(wanting) + 1:
                richest.lent -= 1

    def _lend(self, count: int) -> None:
        for _ in range(count):
            wanting = [each for each in self._loans.values() if each.lent < each.wanted]
            if not wanting:
                return
            min(wanting, key=lambda each: each.lent).lent += 1
