"""How a run ended, as a tag of its MLflow run."""

import json
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field, ValidationError

from trainyard.contract import (
    Placement,
    Priority,
    Progress,
    Reason,
    Registered,
    Run,
    Searched,
    Transition,
    Usage,
)

OUTCOME = "trainyard.outcome"
WARNINGS_ROOM = 1500
"""Characters of a tag that warnings may take, as JSON; the data profile has them all."""
DECISION_ROOM = 2500
"""The same of a decision about a promotion, which may name columns that are called by whole sentences."""
TAG_LIMIT = 5000
"""Characters of a tag's value that MLflow keeps."""


class Kept(BaseModel):
    """What MLflow has no field for, or keeps less exactly, of how a run ended."""

    reason: Reason | None = None
    message: str | None = None
    model_uri: str | None = None
    registered: Registered | None = None
    searched: Searched | None = None
    warnings: list[str] = Field(default_factory=list)
    usage: Usage | None = None
    placement: list[Placement] = Field(default_factory=list)
    priority: Priority = Priority.NORMAL
    attempt: int = 1
    workers: int = 1
    version: int = 0
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: Progress | None = None
    metrics: dict[str, float] | None = None
    transitions: list[Transition] = Field(default_factory=list)

    @classmethod
    def of(cls, run: Run) -> Self:
        """Of a run that ended."""
        return cls(**{name: getattr(run, name) for name in cls.model_fields})

    @classmethod
    def read(cls, tags: dict[str, str]) -> Self:
        """From a run's tags. One that does not read, because somebody changed it in MLflow, counts as not there."""
        try:
            return cls.model_validate_json(
                tags.get(OUTCOME) or json.dumps({"attempt": tags.get("trainyard.attempt", 1)})
            )
        except ValidationError:
            return cls()

    def as_tag(self) -> str:
        """As much of it as fits: a long message is cut, a long decision, which the version has whole, and many warnings.

        Metrics go first, which MLflow has too, then old transitions, then where its many workers ran.
        """
        short = self.model_copy(
            update={
                "message": self.message and self.message[:1000],
                "registered": self.registered and _shortened(self.registered),
                "warnings": _fitting(self.warnings),
                "transitions": [],
            }
        )
        steps = [each.model_dump_json(exclude_none=True) for each in self.transitions]
        room = _room_beside(short)
        if sum(len(step) + 1 for step in steps) > room and short.metrics:
            short = short.model_copy(update={"metrics": None})
            room = _room_beside(short)
        while room < 0 and short.placement:
            short = short.model_copy(
                update={"placement": short.placement[: len(short.placement) // 2]}
            )
            room = _room_beside(short)
        newest = 0
        while newest < len(steps) and (room := room - len(steps[-newest - 1]) - 1) >= 0:
            newest += 1
        fitting = self.transitions[len(steps) - newest :]
        return short.model_copy(update={"transitions": fitting}).model_dump_json(exclude_none=True)


def _shortened(registered: Registered) -> Registered:
    """With as much of its decision as there is room for."""
    text = registered.decision
    if text is None or len(text) <= DECISION_ROOM:
        return registered
    return registered.model_copy(update={"decision": f"{text[:DECISION_ROOM]}…"})


def _fitting(warnings: list[str]) -> list[str]:
    """As many of the first as there is room for; the last says how many more there were."""
    room = WARNINGS_ROOM
    for position, each in enumerate(warnings):
        room -= len(json.dumps(each)) + 1
        if room < 0:
            more = f"{len(warnings) - position} more warnings are in the run's data_profile.json"
            return [*warnings[:position], more]
    return warnings


def _room_beside(kept: Kept) -> int:
    """Characters that are left in the tag."""
    return TAG_LIMIT - len(kept.model_dump_json(exclude_none=True))
