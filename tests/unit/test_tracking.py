"""What a run's tag in MLflow keeps of how it ended."""

from datetime import UTC, datetime

import pytest
from trainyard.contract import Placement, Reason, Registered, RunStatus, Transition, Usage
from trainyard.tracking.kept import TAG_LIMIT, Kept

STEPS = [
    Transition(
        status=RunStatus.RUNNING, at=datetime(2026, 1, 1, tzinfo=UTC), message=f"step {number}"
    )
    for number in range(20)
]


def kept_of(metrics: int, transitions: list[Transition]) -> Kept:
    """As it is read back from the tag."""
    whole = Kept(
        metrics={f"test_metric_{number}": number / 7 for number in range(metrics)},
        transitions=transitions,
    )
    tag = whole.as_tag()
    assert len(tag) <= TAG_LIMIT
    return Kept.read({"trainyard.outcome": tag})


def test_what_fits_is_kept_whole() -> None:
    kept = kept_of(10, STEPS)
    assert kept.transitions == STEPS
    assert kept.metrics == pytest.approx(
        {f"test_metric_{number}": number / 7 for number in range(10)}
    )


def test_what_nobody_saw_of_a_run_takes_nothing_else_along() -> None:
    """The processors that it used before its service was killed, for one."""
    usage = Usage(
        queue_seconds=1, run_seconds=2, cpu_seconds=None, gpu_seconds=0, peak_memory_mb=None
    )
    whole = Kept(reason=Reason.CRASHED, message="why", attempt=3, usage=usage, transitions=STEPS)
    assert Kept.read({"trainyard.outcome": whole.as_tag()}) == whole


@pytest.mark.parametrize(("letters", "kept"), [(2_000, 2_000), (9_000, 2_501)])
def test_a_long_decision_does_not_keep_a_run_from_being_closed(letters: int, kept: int) -> None:
    """MLflow refuses a tag of 8,000 letters, and the version has the decision whole."""
    won = Registered(name="m", version="2", promoted=True, decision="x" * letters)
    tag = Kept(registered=won, transitions=STEPS).as_tag()
    assert len(tag) <= TAG_LIMIT
    found = Kept.read({"trainyard.outcome": tag}).registered
    assert found is not None
    assert (found.version, len(found.decision or "")) == ("2", kept)


def test_metrics_go_before_transitions_because_mlflow_has_them_too() -> None:
    kept = kept_of(500, STEPS)
    assert kept.metrics is None
    assert kept.transitions == STEPS


def test_of_too_many_transitions_the_newest_stay() -> None:
    kept = kept_of(10, STEPS * 10)
    assert 0 < len(kept.transitions) < 200
    assert kept.transitions[-1] == STEPS[-1]


def test_warnings_are_kept_and_of_too_many_the_first_with_the_number_of_the_others() -> None:
    few = [f"the column 'c{number}' is constant" for number in range(3)]
    assert Kept.read({"trainyard.outcome": Kept(warnings=few).as_tag()}).warnings == few
    tag = Kept(warnings=few * 40, transitions=STEPS).as_tag()
    assert len(tag) <= TAG_LIMIT
    kept = Kept.read({"trainyard.outcome": tag})
    assert kept.warnings[:3] == few
    assert kept.warnings[-1].startswith(f"{120 - len(kept.warnings) + 1} more warnings")
    assert kept.transitions == STEPS


def test_how_a_run_of_many_hosts_ended_is_kept_although_not_where_each_of_its_workers_ran() -> None:
    places = [
        Placement(host=f"gpu-host-{rank}", address=f"10.0.0.{rank}", node="a" * 56, rank=rank)
        for rank in range(100)
    ]
    tag = Kept(
        reason=Reason.CRASHED, message="x" * 2000, placement=places, transitions=STEPS
    ).as_tag()
    assert len(tag) <= TAG_LIMIT
    kept = Kept.read({"trainyard.outcome": tag})
    assert (kept.reason, kept.message) == (Reason.CRASHED, "x" * 1000)
    assert kept.placement == places[: len(kept.placement)] != []
