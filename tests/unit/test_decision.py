"""What follows an attempt: each row of the table."""

from typing import Any

import pytest
from fakes import asked_for
from trainyard.contract import OnOutOfMemory, Reason, RunStatus
from trainyard.rundir.records import Outcome, State
from trainyard.supervisor.decision import (
    Close,
    HalveBatch,
    HandBack,
    Retry,
    StopReason,
    decide,
    ended_by,
)

ANY_STOP = [None, *StopReason]
NOT_FOR_GOOD = [None, StopReason.SERVICE_STOPS, StopReason.GIVES_WAY]
FOR_GOOD = [StopReason.CANCELLED, StopReason.TIMED_OUT]


def failed(reason: Reason) -> Outcome:
    return ended_by(reason, "so it was")


def finished() -> Outcome:
    return ended_by(Reason.CRASHED).model_copy(
        update={"status": RunStatus.FINISHED, "reason": None, "metrics": {"test_accuracy": 1.0}}
    )


def decided(outcome: Outcome | None, stop: StopReason | None, state: State, **request: Any) -> Any:
    return decide(asked_for(**request), state, outcome, stop)


@pytest.mark.parametrize("stop", ANY_STOP)
def test_what_has_finished_is_closed_also_when_it_was_asked_to_stop(stop: StopReason | None):
    outcome = finished()
    assert decided(outcome, stop, State(starts=1), max_attempts=3) == Close(outcome)


@pytest.mark.parametrize("stop", FOR_GOOD)
def test_what_was_stopped_for_good_ends_by_that_reason(stop: StopReason):
    decision = decided(None, stop, State(starts=1), max_attempts=3)
    assert isinstance(decision, Close)
    assert decision.outcome.reason == stop.value
    assert decision.outcome.status is Reason(stop.value).status


@pytest.mark.parametrize("stop", NOT_FOR_GOOD)
def test_what_left_no_outcome_and_was_not_stopped_for_good_is_handed_back(stop: StopReason | None):
    assert isinstance(decided(None, stop, State(starts=1)), HandBack)


@pytest.mark.parametrize("stop", NOT_FOR_GOOD)
@pytest.mark.parametrize("reason", [Reason.OUT_OF_MEMORY, Reason.GPU_OUT_OF_MEMORY])
def test_memory_that_runs_out_halves_the_batch_where_the_request_allows_it(
    reason: Reason, stop: StopReason | None
):
    state = State(starts=1, batch_size=64, halvings=1)
    decision = decided(failed(reason), stop, state, on_out_of_memory=OnOutOfMemory.HALVE_BATCH)
    assert isinstance(decision, HalveBatch)
    assert decision.batch_size == 16
    assert reason in decision.message
    assert "batch_size 16" in decision.message


@pytest.mark.parametrize(
    ("state", "choice"),
    [
        (State(starts=1, batch_size=64), OnOutOfMemory.FAIL),
        (State(starts=1, batch_size=None), OnOutOfMemory.HALVE_BATCH),
        (State(starts=1, batch_size=1), OnOutOfMemory.HALVE_BATCH),
        (State(starts=1, batch_size=64, halvings=3), OnOutOfMemory.HALVE_BATCH),
    ],
)
def test_a_batch_that_may_not_or_cannot_be_halved_fails_or_is_tried_again(
    state: State, choice: OnOutOfMemory
):
    outcome = failed(Reason.OUT_OF_MEMORY)
    assert decided(outcome, None, state, on_out_of_memory=choice) == Close(outcome)
    again = decided(outcome, None, state, on_out_of_memory=choice, max_attempts=2)
    assert isinstance(again, Retry)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("stop", NOT_FOR_GOOD)
def test_what_failed_is_tried_again_where_that_can_help(reason: Reason, stop: StopReason | None):
    outcome = failed(reason)
    decision = decided(outcome, stop, State(starts=1), max_attempts=2)
    if reason.retryable:
        assert decision == Retry(f"{reason}: so it was; trying again")
    else:
        assert decision == Close(outcome)


@pytest.mark.parametrize("stop", ANY_STOP)
def test_what_failed_is_closed_when_no_attempt_is_left(stop: StopReason | None):
    outcome = failed(Reason.CRASHED)
    assert decided(outcome, stop, State(starts=2), max_attempts=2) == Close(outcome)


@pytest.mark.parametrize("stop", FOR_GOOD)
def test_what_was_stopped_for_good_is_not_tried_again(stop: StopReason):
    outcome = failed(Reason.OUT_OF_MEMORY)
    state = State(starts=1, batch_size=64)
    halve = OnOutOfMemory.HALVE_BATCH
    assert decided(outcome, stop, state, max_attempts=9, on_out_of_memory=halve) == Close(outcome)
