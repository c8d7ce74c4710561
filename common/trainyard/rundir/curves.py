"""What a run measured round by round, thin enough to be drawn."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainyard.contract import Curves
from trainyard.rundir.metric_journal import measured

MOST_POINTS = 500
Point = tuple[int, float]


def of_journal(file: Path) -> Curves:
    """What a run's journal holds; nothing of a file that is not there."""
    found: dict[str, list[Point]] = {}
    for each in measured(file):
        for name, value in each.metrics.items():
            found.setdefault(name, []).append((each.step, value))
    return curves(found)


def curves(found: Mapping[str, Sequence[Point]]) -> Curves:
    """Of more than `MOST_POINTS` every n-th, and the last; without what is not finite."""
    finite = {
        name: [point for point in points if math.isfinite(point[1])]
        for name, points in found.items()
    }
    return Curves(metrics={name: _thinned(points) for name, points in finite.items() if points})


def _thinned(points: list[Point]) -> list[Point]:
    every = -(-len(points) // MOST_POINTS)
    return points[(len(points) - 1) % every :: every]
