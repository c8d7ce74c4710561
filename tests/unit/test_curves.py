"""What a run measured, read from its journal and made thin enough to be drawn."""

import json
from itertools import pairwise

from trainyard.rundir.curves import MOST_POINTS, of_journal


def test_a_journal_that_is_not_there_has_no_curves(tmp_path):
    assert of_journal(tmp_path / "metrics.jsonl").metrics == {}


def test_a_step_that_was_done_twice_counts_once_and_what_is_not_finite_not_at_all(tmp_path):
    file = tmp_path / "metrics.jsonl"
    lines = [[1, 0, {"a": 3.0}], [2, 0, {"a": 2.0}], [2, 0, {"a": 1.0, "b": float("nan")}]]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '[3, 0, {"a"')
    assert of_journal(file).metrics == {"a": [(1, 3.0), (2, 1.0)]}


def test_a_long_curve_is_thinned_evenly_and_keeps_its_last_point(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(f"{json.dumps([step, 0, {'a': step}])}\n" for step in range(1, 10_008)))
    (points,) = of_journal(file).metrics.values()
    steps = [step for step, _ in points]
    assert len(steps) <= MOST_POINTS
    assert steps[-1] == 10_007
    assert {after - before for before, after in pairwise(steps)} == {21}
