"""What is kept of a metric's points."""

from itertools import pairwise

import pytest
from trainyard.worker.curve import MOST_POINTS, Curve


def curve_of(count: int) -> list[tuple[int, float]]:
    curve = Curve()
    for step in range(1, count + 1):
        curve.add(step, step / 2)
    return curve.points


@pytest.mark.parametrize("count", [0, 1, 2, MOST_POINTS - 1])
def test_of_few_points_all_are_kept(count: int) -> None:
    assert curve_of(count) == [(step, step / 2) for step in range(1, count + 1)]


@pytest.mark.parametrize("count", [2000, 2001, 4000, 4001, 10_007])
def test_of_many_the_first_the_last_and_some_at_even_distances_are_kept(count: int) -> None:
    steps = [step for step, _ in curve_of(count)]
    assert MOST_POINTS / 2 <= len(steps) <= MOST_POINTS
    assert (steps[0], steps[-1]) == (1, count)
    assert len({later - earlier for earlier, later in pairwise(steps[:-1])}) == 1


def test_a_point_that_is_measured_again_is_the_last() -> None:
    curve = Curve()
    for step, value in ((1, 0.5), (2, 0.25), (2, 0.125)):
        curve.add(step, value)
    assert curve.points[-1] == (2, 0.125)
