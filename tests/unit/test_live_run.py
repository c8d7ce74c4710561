"""A run that the service knows by heart, and that nothing else changes its status."""

import ast
import gc
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trainyard.api
import trainyard.supervisor
from fakes import asked_for, submission_of
from trainyard.contract import Phase, Reason, Run, RunStatus
from trainyard.launcher.messages import Noted, PhaseEntered, Progressed, Warned
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome, State
from trainyard.supervisor.decision import HalveBatch, HandBack, Retry, StopReason, ended_by
from trainyard.supervisor.known_runs import KnownRuns
from trainyard.supervisor.live_run import LiveRun
from virtual_time import in_no_time


def live(
    run_id: str = "r1",
    *,
    key: str | None = None,
    attempt: int = 1,
    params: dict[str, Any] | None = None,
    **state: int,
) -> LiveRun:
    request = asked_for(params=params) if params else asked_for()
    submission = submission_of(request, run_id, key=key, attempt=attempt)
    return LiveRun(
        submission, RunFolder(Path("no-such")), State(**state), service="svc", link="http://mlflow"
    )


def started() -> LiveRun:
    run = live()
    run.start()
    return run


# What a process tells


def test_an_event_that_is_late_or_comes_twice_changes_nothing():
    run = started()
    hear = run.listener()
    hear(PhaseEntered(sequence=2, phase=Phase.TRAINING))
    stands = run.run
    hear(PhaseEntered(sequence=1, phase=Phase.LOADING_DATA))
    hear(PhaseEntered(sequence=2, phase=Phase.EVALUATING))
    assert run.run is stands
    hear(Progressed(sequence=5, done=3, total=10, unit="rounds", metrics={"a": 1.0}))
    hear(Progressed(sequence=4, done=2, total=10, unit="rounds", metrics={"a": 2.0}))
    assert run.run.progress
    assert (run.run.progress.done, run.run.metrics) == (3, {"a": 1.0})


def test_each_process_counts_its_events_from_one():
    run = started()
    run.listener()(PhaseEntered(sequence=9, phase=Phase.TRAINING))
    run.again(Retry("again"))
    run.start()
    run.listener()(PhaseEntered(sequence=1, phase=Phase.LOADING_DATA))
    assert run.run.phase is Phase.LOADING_DATA


def test_a_process_that_is_over_cannot_change_a_run_that_waits_or_has_ended():
    run = started()
    hear = run.listener()
    run.again(Retry("again"))
    hear(PhaseEntered(sequence=1, phase=Phase.TRAINING))
    assert (run.run.status, run.run.phase) == (RunStatus.SCHEDULED, None)
    run.end(ended_by(Reason.CANCELLED))
    ended = run.run
    hear(Noted(sequence=2, message="still here"))
    run.end(ended_by(Reason.CRASHED))
    run.queued_at(1)
    run.start()
    assert run.run is ended


def test_ten_thousand_notes_leave_a_run_small_with_its_first_and_newest_steps():
    run = started()
    hear = run.listener()
    for number in range(1, 10_001):
        hear(Noted(sequence=number, message=f"note {number} " + "x" * 10_000))
    steps = run.run.transitions
    assert steps[0].status is RunStatus.SCHEDULED
    assert steps[-1].message
    assert steps[-1].message.startswith("note 10000 ")
    assert len(steps) <= 200
    assert len(run.json()) < 200_000


def test_warnings_are_on_the_run_once_however_often_they_are_told_and_stay_when_it_fails():
    run = started()
    told = ("the column 'a' is text", "the column 'b' is constant")
    for _ in range(2):
        run.listener()(Warned(sequence=1, warnings=told))
    assert run.run.warnings == list(told)
    run.end(ended_by(Reason.CRASHED))
    assert run.run.warnings == list(told)


def test_an_outcome_that_is_found_on_disk_brings_its_warnings():
    run = started()
    at = datetime.now(UTC)
    run.end(Outcome(status=RunStatus.FINISHED, ended_at=at, warnings=["the column 'a' is text"]))
    assert run.run.warnings == ["the column 'a' is text"]


# Versions


def test_each_change_is_another_version_and_a_later_life_begins_above_it():
    run = live()
    versions = [run.run.version]
    for change in (lambda: run.queued_at(1), run.start, lambda: run.end(ended_by(Reason.CRASHED))):
        change()
        versions.append(run.run.version)
    assert versions == sorted(set(versions))
    assert live(lives=1).run.version > versions[-1]


def test_the_same_place_in_the_queue_is_no_change():
    run = live()
    run.queued_at(2)
    version = run.run.version
    run.queued_at(2)
    assert run.run.version == version


def test_a_wait_is_answered_by_the_next_version_and_for_an_ended_run_at_once():
    async def waits() -> tuple[Run, Run]:
        run = live()
        run.start()
        first = await run.wait(60.0, 1)
        run.end(ended_by(Reason.CRASHED))
        return first, await run.wait(60.0, 10**9)

    first, last = in_no_time(waits())
    assert first.status is RunStatus.RUNNING
    assert last.status is RunStatus.FAILED


# Attempts


def test_only_what_is_tried_again_counts_as_an_attempt():
    run = started()
    assert run.run.attempt == 1
    for decision in (HandBack("the service stopped"), HalveBatch(32, "memory ran out")):
        run.again(decision)
        assert run.run.status is RunStatus.SCHEDULED
        run.start()
        assert run.run.attempt == 1
    assert run.state.halvings == 1
    run.again(Retry("crashed"))
    run.start()
    assert (run.run.attempt, run.state.starts) == (2, 2)


def test_a_cancel_outweighs_that_the_service_stops_and_nothing_outweighs_a_cancel():
    run = started()
    run.ask_to_stop(StopReason.SERVICE_STOPS)
    run.ask_to_stop(StopReason.CANCELLED)
    run.ask_to_stop(StopReason.SERVICE_STOPS)
    assert run.stop_reason is StopReason.CANCELLED


# One owner


def changes_a_run(tree: ast.AST) -> list[str]:
    """Where a module makes a `Run`, or copies something with another status."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        update = next((each.value for each in node.keywords if each.arg == "update"), None)
        if name in {"Run", "model_construct"} or (
            name == "model_copy" and "status" in _keys(update)
        ):
            found.append(f"line {node.lineno}: {ast.unparse(node)[:80]}")
    return found


def _keys(update: ast.expr | None) -> set[str]:
    if update is None:
        return set()
    return {str(node.value) for node in ast.walk(update) if isinstance(node, ast.Constant)}


def modules() -> list[Path]:
    rooms = [Path(room.__path__[0]) for room in (trainyard.supervisor, trainyard.api)]
    return [file for room in rooms for file in sorted(room.glob("**/*.py"))]


@pytest.mark.parametrize("file", modules(), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_only_live_run_changes_the_status_of_a_run(file: Path):
    found = changes_a_run(ast.parse(file.read_text()))
    if file.name == "live_run.py":
        assert found, "the test does not see what it is about"
    elif file.name == "recovery.py":
        assert len(found) <= 1, found  # a run of which MLflow alone knows has no LiveRun
    else:
        assert not found


# Memory


def test_of_ten_thousand_runs_the_newest_thousand_stay_in_memory():
    known = KnownRuns()
    watched = []
    for number in range(10_000):
        run = live(f"r{number}", key=f"key {number}")
        known.add(run)
        run.start()
        run.end(ended_by(Reason.CRASHED))
        known.note_end(run.run_id)
        watched.append(weakref.ref(run))
        del run
    gc.collect()
    assert len(known) == 1000
    assert sum(each() is not None for each in watched) == 1000
    assert len(known._keys) == 1000
    assert known.with_key("key 9999")
    assert known.with_key("key 8999") is None


def test_of_runs_with_long_requests_fewer_stay_in_memory():
    """Such as of tables with thousands of columns that are named: a request may have a megabyte."""
    known = KnownRuns(recent_bytes=1_000_000)
    for number in range(100):
        run = live(f"r{number}", key=f"key {number}", params={"notes": "x" * 50_000})
        known.add(run)
        run.end(ended_by(Reason.CRASHED))
        known.note_end(run.run_id)
    assert 15 <= len(known) <= 20
    assert len(known._keys) == len(known)
    longest = live("longest", params={"notes": "x" * 1_000_000})
    known.add(longest)
    known.note_end("longest")
    assert [each.run_id for each in known] == ["longest"], "the newest is always there"


def test_a_key_finds_its_newest_attempt_whichever_is_taken_up_first():
    known = KnownRuns()
    second = live("second", key="nightly", attempt=2)
    known.add(second)
    known.add(live("first", key="nightly", attempt=1))
    assert known.with_key("nightly") is second
