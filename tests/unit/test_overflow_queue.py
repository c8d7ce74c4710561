"""The queue of what MLflow has still to be told: in order, whole, and bounded in memory."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow")

from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Metric, Param, RunTag
from trainyard.tracking.batches import apart, calls
from trainyard.tracking.overflow_queue import OverflowQueue


def told(entry: Any) -> Any:
    return dict(entry) if isinstance(entry, (Metric, Param, RunTag)) else entry


def numbered(number: int) -> Any:
    """An entry of one of the four kinds."""
    return (
        Metric("train_é", number / 3, 1_700_000_000_000 + number, number),
        Param(f"p{number}", "ü\n"),
        RunTag("t", str(number)),
        f"a data set {number}",
    )[number % 4]


@given(
    st.lists(st.one_of(st.integers(1, 9), st.tuples(st.integers(1, 9), st.booleans()))),
    st.integers(1, 5),
)
def test_what_goes_in_comes_out_in_order_whatever_is_put_back(steps: list[Any], limit: int) -> None:
    queue, expected, number = OverflowQueue(limit=limit), [], 0
    for step in steps:
        if isinstance(step, int):
            for _ in range(step):
                queue.append(numbered(number))
                expected.append(told(numbered(number)))
                number += 1
        else:
            most, refused = step
            taken = queue.take(most)
            assert [told(each) for each in taken] == expected[: len(taken)]
            assert len(taken) <= most
            assert taken or not expected
            if refused:
                queue.put_back(taken)
            else:
                del expected[: len(taken)]
        assert len(queue) == len(expected)
    rest = []
    while len(queue):
        rest += [told(each) for each in queue.take(3)]
    assert rest == expected


def test_an_outage_of_100_000_rounds_takes_a_bounded_amount_of_memory(tmp_path: Path) -> None:
    queue = OverflowQueue(tmp_path)
    tracemalloc.start()
    try:
        for step in range(100_000):
            queue.append(Metric("train_log_loss", 1 / (step + 1), 1_700_000_000_000 + step, step))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 25_000_000
    assert len(queue) == 100_000
    assert list(tmp_path.iterdir()) == [], "the file has no name: it goes with the process"
    steps = [each.step for _ in range(200) for each in queue.take(500)]
    assert steps == list(range(100_000))


def test_a_file_that_was_read_back_is_empty_and_used_again(tmp_path: Path) -> None:
    queue = OverflowQueue(tmp_path, limit=2)
    for first in (0, 100, 200):
        for number in range(first, first + 50):
            queue.append(numbered(number))
        taken = [told(each) for _ in range(50) for each in queue.take(1)]
        assert taken == [told(numbered(number)) for number in range(first, first + 50)]
        assert queue._file is not None
        assert queue._file.seek(0, 2) == 0


def test_entries_are_divided_into_calls_within_mlflow_s_limits() -> None:
    entries = [
        *(Metric("train_a", 0.5, 1, step) for step in range(500)),
        *(Param(f"p{number}", "1") for number in range(230)),
        *(RunTag(f"t{number}", "1") for number in range(120)),
    ]
    sizes = [(len(metrics), len(params), len(tags)) for metrics, params, tags in calls(entries)]
    assert sizes == [(500, 100, 100), (0, 100, 20), (0, 30, 0)]
    assert list(calls([print])) == []


def test_entries_are_taken_apart_by_what_mlflow_may_refuse() -> None:
    one, two = Metric("train_a", 0.5, 1, 1), Metric("train_a", 0.4, 1, 2)
    other, param, tag = Metric("train_b", 0.5, 1, 1), Param("p", "1"), RunTag("t", "1")
    assert apart([one, param, other, tag, two]) == [[one, two], [other], [param], [tag]]
