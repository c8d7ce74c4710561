"""What a run did from when to when, as its transitions tell."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, zip_longest
from typing import NamedTuple

from trainyard.contract.runs import Transition


class Step(NamedTuple):
    """From one transition to the next."""

    began: Transition
    following: Transition | None
    """None of the last."""

    def seconds(self, now: datetime | None = None) -> float | None:
        """How long it took, or has taken by now; None of the last where `now` is not given."""
        over = self.following.at if self.following else now
        return (over - self.began.at).total_seconds() if over else None


def steps(transitions: Sequence[Transition]) -> list[Step]:
    """Each transition, with the next."""
    return [Step(*pair) for pair in zip_longest(transitions, transitions[1:])]


def without_notes(transitions: Sequence[Transition]) -> list[Transition]:
    """Those that changed the status or the phase: notes within a phase do not divide it."""
    return [next(same) for _, same in groupby(transitions, lambda each: (each.status, each.phase))]
