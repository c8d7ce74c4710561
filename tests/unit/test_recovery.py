"""What a starting service makes of the runs that an earlier one left."""

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_mlflow import not_found_by_a_proxy, refusal
from fakes import asked_for
from full_disk import Disk
from lives import World
from trainyard.contract import Caller, Phase, Reason, Role, Run, RunStatus
from trainyard.errors import Unavailable
from trainyard.launcher.messages import EXIT_INTERRUPTED
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import State
from trainyard.supervisor.decision import ended_by
from trainyard.supervisor.retention import prune

SCHEDULED, RUNNING = RunStatus.SCHEDULED, RunStatus.RUNNING
FINISHED, FAILED, KILLED = RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED


# Files that were damaged


@pytest.mark.parametrize("damaged", ["state.json", "outcome.json"])
@pytest.mark.parametrize("content", ["", "{", '{"status": "LOST"}'])
def test_a_damaged_file_keeps_no_service_from_starting(world: World, damaged: str, content: str):
    world.start()
    run_id = world.submit(max_attempts=2)
    world.die()
    (world.folder(run_id).path / damaged).write_text(content)
    world.machine.autopilot = True
    world.start()
    world.later(60)
    assert world.do(world.service.problems()) == {}
    assert (world.run(run_id).status, world.in_mlflow(run_id)) == (FINISHED, FINISHED)


def test_a_run_whose_request_cannot_be_read_is_given_up(world: World):
    world.start()
    run_id = world.submit()
    world.die()
    world.folder(run_id).request.write_text("")
    world.start()
    world.later(60)
    assert world.in_mlflow(run_id) is FAILED
    assert world.run(run_id).reason is Reason.SERVICE_RESTARTED


def test_a_run_that_mlflow_refuses_to_end_keeps_no_service_from_starting(world: World):
    world.start()
    run_id = world.submit()
    world.die()
    world.folder(run_id).request.write_text("")
    world.mlflow.refuses["log_batch"] = refusal()
    world.start()
    world.later(60)
    assert world.do(world.service.problems()) == {}


# Runs that were under way


@pytest.mark.parametrize("registers", [True, False])
def test_a_run_that_registered_as_the_service_was_killed_registers_again_whatever_its_attempts(
    world: World, registers: bool
):
    """Its version may have the alias by then: it is not called failed."""
    world.start()
    run_id = world.submit()
    if registers:
        world.folder(run_id).registering.touch()
    world.die()
    world.start()
    world.later(1)
    if not registers:
        assert world.run(run_id).reason is Reason.SERVICE_RESTARTED
        return
    assert (world.run(run_id).status, world.run(run_id).attempt) == (RUNNING, 1)
    world.process(run_id).finish()
    world.later(10)
    assert world.run(run_id).status is FINISHED
    assert not world.folder(run_id).registering.exists()


@pytest.mark.parametrize("stops", [True, False])
def test_a_process_that_somebody_else_asks_to_stop_is_handed_back_where_the_service_stops_too(
    world: World, stops: bool
):
    """As where a whole machine is shut down."""
    world.start()
    run_id = world.submit()
    world.process(run_id).exit(EXIT_INTERRUPTED)
    world.later(5)
    assert world.run(run_id).status is RUNNING
    if stops:
        world.stop()
        world.start()
        assert (world.run(run_id).status, world.run(run_id).attempt) == (RUNNING, 1)
        return
    world.later(10)
    ended = world.run(run_id)
    assert (ended.status, ended.reason) == (FAILED, Reason.KILLED_BY_SIGNAL)
    assert ended.message == "the run's process was sent SIGTERM, and not by its service"


def test_an_mlflow_that_refuses_to_drop_a_half_logged_model_has_the_log_all_the_same(world: World):
    """As where a service may edit there, and delete nothing."""
    world.start()
    run_id = world.submit()
    world.folder(run_id).log.write_text("as far as it came")
    world.process(run_id).enter(Phase.LOGGING_MODEL)
    world.mlflow.refuses["search_logged_models"] = refusal()
    world.process(run_id).fail(Reason.CRASHED)
    world.later(10)
    assert world.in_mlflow(run_id) is FAILED
    assert world.mlflow.calls["search_logged_models"] == 1
    assert world.mlflow.runs[run_id].artifacts["training.log"] == b"as far as it came"


# Runs that had ended


def test_an_outcome_that_mlflow_was_not_told_is_told(world: World):
    world.start()
    run_id = world.submit()
    world.mlflow.away = True
    world.process(run_id).finish(test_accuracy=0.5)
    world.later(10)
    assert world.run(run_id).status is FINISHED
    world.die()
    assert world.in_mlflow(run_id) is RUNNING
    world.mlflow.away = False
    world.start()
    world.later(10)
    assert world.in_mlflow(run_id) is FINISHED
    ended = world.run(run_id)
    assert (ended.status, ended.metrics) == (FINISHED, {"test_accuracy": 0.5})
    assert len(world.machine.of(run_id)) == 1


def test_an_end_that_callers_have_seen_is_shown_from_the_first_moment(world: World):
    world.start()
    run_id = world.submit()
    world.mlflow.away = True
    world.process(run_id).die()
    world.later(10)
    assert world.run(run_id).status is FAILED
    world.die()
    world.mlflow.away = False
    world.loop.delays = lambda threads: (0.0, 1.5 if threads == "mlflow" else 0.0)  # type: ignore[method-assign]
    world.start()
    shown = []
    for _ in range(20):
        world.later(1.0)
        content = world.service.live_json(run_id)
        shown += [Run.model_validate_json(content).status] if content else []
    assert set(shown) == {FAILED}
    assert world.in_mlflow(run_id) is FAILED


@pytest.mark.parametrize("outcome", [None, FINISHED])
def test_what_mlflow_shows_as_ended_is_not_changed(world: World, outcome: RunStatus | None):
    world.start()
    run_id = world.submit(max_attempts=3)
    if outcome:
        world.process(run_id).write_outcome(outcome)
    world.die()
    world.mlflow.runs[run_id].statuses.append(KILLED)
    world.start()
    world.later(60)
    assert world.mlflow.runs[run_id].statuses[-1] is KILLED
    assert world.run(run_id).status is KILLED
    assert len(world.machine.of(run_id)) == 1
    assert world.folder(run_id).closed


def test_what_mlflow_shows_as_ended_is_not_changed_on_a_full_disk_and_is_closed_by_a_later_start(
    world: World,
):
    disk = Disk()
    world.start()
    run_id = world.submit(max_attempts=3)
    world.die()
    world.mlflow.runs[run_id].statuses.append(KILLED)
    with disk.in_place():
        disk.loop = world.loop
        disk.full(after=0, writes=10**6)
        world.start()
        world.later(60)
    assert disk.failed
    assert world.run(run_id).status is KILLED
    assert not world.folder(run_id).closed
    world.stop()
    world.start()
    assert world.folder(run_id).closed
    assert world.mlflow.runs[run_id].statuses[-1] is KILLED
    assert world.mlflow.runs[run_id].statuses.count(FAILED) == 0


def test_of_runs_that_are_over_a_start_reads_no_file(world: World, monkeypatch):
    world.start()
    over, under_way = world.submit(), world.submit()
    world.process(over).finish()
    world.later(60)
    assert world.folder(over).closed
    world.die()
    read, submission = [], RunFolder.submission

    def noted(folder: RunFolder):
        read.append(folder.path.name)
        return submission(folder)

    monkeypatch.setattr(RunFolder, "submission", noted)
    world.start()
    world.later(60)
    assert set(read) == {under_way}
    assert world.in_mlflow(over) is FINISHED


def test_files_that_were_not_uploaded_are_uploaded_after_a_restart(world: World):
    world.start()
    run_id = world.submit()
    world.process(run_id).finish()
    world.do(world.service._blocking.run(lambda: None))
    world.die()
    world.start()
    world.later(60)
    assert set(world.mlflow.runs[run_id].artifacts) == {"request.json", "training.log"}


def test_a_run_that_was_deleted_in_mlflow_is_closed_and_not_trained(world: World):
    world.start()
    run_id = world.submit(max_attempts=3)
    world.die()
    world.mlflow.runs[run_id].deleted = True
    world.start()
    world.later(60)
    assert len(world.machine.of(run_id)) == 1
    assert world.folder(run_id).closed


# Runs that were under way


def test_a_process_that_survived_is_killed_before_the_run_is_trained_again(world: World):
    world.start()
    run_id = world.submit(max_attempts=2)
    survivor = world.process(run_id)
    world.die()
    assert survivor.runs
    world.start()
    assert survivor.killed == 1
    assert len(world.machine.running()) == 1
    assert world.process(run_id) is not survivor


def test_a_process_is_ended_too_whose_service_died_before_it_had_noted_which_it_is(world: World):
    """It would train beside the next one until its line finds no service, and might register a model."""
    world.start()
    world.loop.delays = lambda threads: (0.0, 1.0 if threads == "disk" else 0.0)  # type: ignore[method-assign]
    world.loop.create_task(world.service.submit(asked_for(max_attempts=2), None))
    while not world.machine.running():
        world.later(0.1)
    (survivor,) = world.machine.running()
    world.loop.under_way.clear()
    assert world.folder(survivor.run_id).state().process_id is None
    world.die()
    world.start()
    world.later(10)
    assert survivor.killed == 1
    assert world.machine.running() == [world.process(survivor.run_id)]


def test_a_survivor_that_finished_meanwhile_has_finished(world: World):
    world.start()
    run_id = world.submit()
    world.die()
    world.process(run_id).finish()
    world.start()
    world.later(10)
    assert world.run(run_id).status is FINISHED
    assert len(world.machine.of(run_id)) == 1


@pytest.mark.parametrize(("most", "status"), [(1, FAILED), (2, RUNNING)])
def test_an_interrupted_run_is_tried_again_while_it_has_attempts(
    world: World, most: int, status: RunStatus
):
    world.start()
    run_id = world.submit(max_attempts=most)
    world.die()
    world.start()
    world.later(10)
    run = world.run(run_id)
    assert run.status is status
    if status is RUNNING:
        assert run.attempt == 2
    else:
        assert run.reason is Reason.SERVICE_RESTARTED


@pytest.mark.parametrize(("most", "status"), [(1, FAILED), (2, RUNNING)])
def test_a_process_that_failed_because_the_service_was_gone_is_tried_again(
    world: World, most: int, status: RunStatus
):
    world.start()
    run_id = world.submit(max_attempts=most)
    world.die()
    world.process(run_id).fail(Reason.CRASHED, "the service does not answer")
    world.start()
    world.later(10)
    assert world.run(run_id).status is status


def test_what_was_interrupted_goes_first_and_then_what_was_submitted_first(world: World):
    world.start()
    first, second, third = (world.submit(max_attempts=9) for _ in range(3))
    world.stop()  # hands the first one back
    world.start()
    assert [each.run_id for each in world.machine.running()] == [first]
    world.process(first).finish()
    world.later(10)
    assert [each.run_id for each in world.machine.running()] == [second]
    world.die()
    world.start()
    assert [each.run_id for each in world.machine.running()] == [second]
    assert world.run(third).queue_position == 1
    late = world.submit()
    assert world.run(late).queue_position == 2
    assert world.in_mlflow(third) is SCHEDULED


def test_what_waited_is_no_longer_running_in_mlflow(world: World):
    world.start()
    world.submit(max_attempts=9)
    waits = world.submit()
    world.die()
    world.mlflow.runs[waits].statuses.append(RUNNING)
    world.start()
    world.later(10)
    assert world.in_mlflow(waits) is SCHEDULED


def test_versions_grow_and_the_steps_are_kept_over_a_restart(world: World):
    world.start()
    run_id = world.submit(max_attempts=2)
    for number in range(300):
        world.process(run_id).note(f"note {number}")
    before = world.run(run_id)
    world.stop()
    world.start()
    after = world.run(run_id)
    assert after.version > before.version
    assert after.transitions[0] == before.transitions[0]
    assert len(after.transitions) <= 200


# What counts over restarts


def test_a_run_that_was_handed_back_has_used_no_attempt(world: World):
    world.start()
    run_id = world.submit(max_attempts=1)
    for _ in range(5):
        world.stop()
        world.start()
    world.later(1)
    assert (world.run(run_id).status, world.run(run_id).attempt) == (RUNNING, 1)


def test_the_time_that_a_run_trained_counts_over_a_hand_back(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """timeout_seconds is of the run, and not of each of its processes."""
    monkeypatch.setattr("time.monotonic", lambda: world.loop.now)
    world.start()
    run_id = world.submit(timeout_seconds=100)
    world.later(60)
    world.stop()
    folder = world.folder(run_id)
    assert folder.state().seconds_trained == pytest.approx(60, abs=2)
    written_late = datetime.now(UTC).timestamp() + 60  # the process's own last word counts once
    os.utime(folder.log, (written_late, written_late))
    world.start()
    world.later(30)
    assert world.run(run_id).status is RUNNING
    world.later(20)
    run = world.run(run_id)
    assert (run.status, run.reason) == (FAILED, Reason.TIMED_OUT)


def test_the_time_of_a_process_whose_service_died_counts_to_its_last_sign_of_life(world: World):
    world.start()
    run_id = world.submit(max_attempts=2)
    world.die()
    folder = world.folder(run_id)
    state = folder.state()
    assert state.process_started_at
    state.process_started_at = datetime.now(UTC) - timedelta(seconds=50)
    folder.write_state(state)
    last = state.process_started_at + timedelta(seconds=40)
    os.utime(folder.log, (last.timestamp(), last.timestamp()))
    world.start()
    assert world.folder(run_id).state().seconds_trained == pytest.approx(40, abs=1)


# Whose runs


def two_deployments(home: Path) -> tuple[World, World]:
    """Of one instance name and one MLflow, each with a work directory of its own."""
    first = World(home / "first")
    return first, World(home / "second", mlflow=first.mlflow)


@pytest.mark.parametrize("order", [1, -1])
def test_two_deployments_of_one_name_leave_each_other_s_runs_alone(tmp_path: Path, order: int):
    one, other = two_deployments(tmp_path)[::order]
    for each in (one, other):
        each.home.mkdir()
        each.start()
    run_id = one.submit(key="nightly")
    other.stop()
    other.start()
    other.later(120)
    assert one.in_mlflow(run_id) is RUNNING
    one.process(run_id).finish()
    one.later(10)
    assert one.run(run_id).status is FINISHED
    assert [status for status in one.mlflow.runs[run_id].statuses if status.ended] == [FINISHED]
    one.close()
    other.close()


def test_the_runs_of_a_work_directory_that_was_lost_are_ended_by_whoever_names_its_uid(
    tmp_path: Path,
):
    lost, heir = two_deployments(tmp_path)
    lost.home.mkdir()
    lost.start()
    run_id = lost.submit()
    lost.die()
    heir.home.mkdir()
    heir.start()
    heir.later(60)
    assert heir.in_mlflow(run_id) is RUNNING
    heir.stop()
    own, adopted = heir.home / "svc.uid", lost.home / "svc.uid"
    own.write_text(own.read_text() + adopted.read_text())
    heir.start()
    heir.later(60)
    assert heir.in_mlflow(run_id) is FAILED
    assert heir.run(run_id).reason is Reason.SERVICE_RESTARTED
    lost.close()
    heir.close()


def test_what_was_made_for_a_submit_that_no_service_answered_is_discarded(world: World):
    """Its call reaches MLflow after the service that made it has died."""
    world.start()
    world.loop.delays = lambda threads: (9.0, 0.0) if threads == "mlflow" else (0.0, 0.0)  # type: ignore[method-assign]
    world.loop.create_task(world.service.submit(asked_for(), "nightly"))
    world.later(20)  # its key was searched for, and the experiment found
    [arrives] = world.loop.under_way.values()
    world.die()
    world.start()
    arrives()
    assert len(world.mlflow.active()) == 1
    world.later(60)
    assert world.mlflow.active() == []
    assert world.submit(key="nightly")


def test_a_refused_submit_leaves_no_run_also_when_the_service_stops_right_after(world: World):
    world.start()
    run_id = world.submit()
    world.mlflow.answers_lost = 1  # of the call that makes the run
    with pytest.raises(Unavailable):
        world.do(world.service.submit(asked_for(), None))
    assert len(world.mlflow.active()) == 2
    world.mlflow.away = True
    world.stop()
    world.mlflow.away = False
    world.start()
    world.later(60)
    assert [run.run_id for run in world.mlflow.active()] == [run_id]


# Folders that are past their time


def test_what_is_closed_is_pruned_with_or_without_an_outcome_and_what_is_not_is_kept(world: World):
    world.start()
    with_outcome, without, under_way = (world.submit() for _ in range(3))
    world.stop()
    for run_id in (with_outcome, without):
        world.folder(run_id).close()
        closed = world.folder(run_id).path / "closed"
        os.utime(closed, (0, 0))
    world.folder(with_outcome).write_outcome(ended_by(Reason.CRASHED))
    (world.folder(without).path / "state.json").write_text("")
    os.utime(world.folder(under_way).path, (0, 0))
    prune(world.home / "runs", keep_days=7)
    left = {path.name for path in (world.home / "runs").iterdir()}
    assert left == {under_way}


def test_a_run_that_has_ended_and_that_mlflow_was_not_told_is_never_pruned(world: World):
    world.start(keep_work_days=0.0)
    run_id = world.submit()
    world.mlflow.away = True
    world.process(run_id).finish()
    world.later(2 * 3600)
    assert world.folder(run_id).path.exists()
    world.mlflow.away = False
    world.later(2 * 3600)
    assert world.in_mlflow(run_id) is FINISHED
    assert not world.folder(run_id).path.exists()
    assert world.run(run_id).status is FINISHED


def test_the_state_of_a_damaged_file_counts_as_started(world: World):
    world.start()
    run_id = world.submit()
    path = world.folder(run_id).path / "state.json"
    path.write_text("")
    assert world.folder(run_id).state() == State(starts=1)
    path.unlink()
    assert world.folder(run_id).state() == State()


def test_the_phase_of_a_run_that_was_interrupted_is_none_until_it_starts_again(world: World):
    world.start()
    running = world.submit(max_attempts=2)
    world.process(running).enter(Phase.TRAINING)
    world.stop()
    assert world.run(running).phase is None


def test_a_run_that_is_cancelled_before_it_is_queued_again_is_ended(world: World):
    """It is known from its folder, and the service still asks MLflow about others."""
    world.start()
    first, second = world.submit(max_attempts=2), world.submit()
    world.stop()
    world.loop.delays = lambda threads: (0.0, 1.5 if threads == "mlflow" else 0.0)  # type: ignore[method-assign]
    world.start()
    while world.service.live_json(second) is None:
        world.later(0.1)
    with pytest.raises(Unavailable, match="what earlier runs became"):
        world.submit()
    _, under_way = world.do(world.service.cancel(second))
    assert under_way
    world.later(10)
    assert (world.run(first).status, world.run(second).status) == (RUNNING, KILLED)
    assert world.in_mlflow(second) is KILLED
    assert world.machine.of(second) == []


def test_a_cancel_that_comes_before_runs_are_queued_again_outlasts_another_restart(world: World):
    world.start()
    waited = [world.submit(), world.submit()][1]
    world.stop()
    world.loop.delays = lambda threads: (0.0, 1.5 if threads == "mlflow" else 0.0)  # type: ignore[method-assign]
    world.start()
    while world.service.live_json(waited) is None:
        world.later(0.1)
    _, under_way = world.do(world.service.cancel(waited, Caller(name="ann", role=Role.TRAIN)))
    assert under_way
    world.die()
    world.machine.autopilot = True
    world.start()
    world.later(60)
    ended = world.run(waited)
    assert (ended.status, ended.message) == (KILLED, "cancelled by ann while it waited")
    assert world.machine.of(waited) == []


@pytest.mark.parametrize("dies", [True, False])
def test_a_run_that_was_cancelled_is_not_trained_by_the_next_service(world: World, dies: bool):
    """Its process has the grace period to save what it has, and its service ends meanwhile."""
    world.start(grace_seconds=15.0)
    run_id = world.submit(max_attempts=3)
    world.process(run_id).stubborn = True
    world.do(world.service.cancel(run_id, Caller(name="ann", role=Role.TRAIN)))
    world.later(1)
    if dies:
        world.die()
    else:
        world.stop()
    world.start()
    world.later(60)
    ended = world.run(run_id)
    assert (ended.status, ended.message) == (KILLED, "cancelled by ann")
    assert world.in_mlflow(run_id) is KILLED
    assert len(world.machine.of(run_id)) == 1


def test_a_run_that_finished_although_it_was_cancelled_has_finished_for_the_next_service_too(
    world: World,
):
    world.start()
    run_id = world.submit()
    world.process(run_id).stubborn = True
    world.do(world.service.cancel(run_id))
    world.die()
    world.process(run_id).write_outcome(FINISHED)
    world.start()
    world.later(60)
    assert world.run(run_id).status is FINISHED


def test_a_note_of_a_cancel_that_was_damaged_is_one_all_the_same(world: World):
    world.start()
    run_id = world.submit()
    world.do(world.service.cancel(run_id))
    world.die()
    (world.folder(run_id).path / "cancelled.json").write_text("{")
    world.start()
    world.later(60)
    assert world.run(run_id).reason is Reason.CANCELLED


def test_a_run_is_not_shown_until_it_is_known_what_became_of_it(world: World):
    """What MLflow shows of it meanwhile is older than what callers have seen."""
    world.start()
    run_id = world.submit(max_attempts=2)
    world.die()
    world.mlflow.away = True
    world.start()
    with pytest.raises(Unavailable, match="what earlier runs became"):
        world.run(run_id)
    world.mlflow.away = False
    world.later(60)
    assert world.run(run_id).status is RUNNING


# Ends that MLflow refuses


def test_an_end_that_mlflow_refuses_is_told_by_the_next_service(world: World):
    """Such as while its database may not be written to, or the service's own account may not."""
    world.start()
    run_id = world.submit()
    world.mlflow.refuses["set_terminated"] = refusal()
    world.process(run_id).finish()
    world.later(60)
    assert world.run(run_id).status is FINISHED
    assert not world.folder(run_id).closed
    world.stop()
    del world.mlflow.refuses["set_terminated"]
    world.start()
    world.later(60)
    assert world.in_mlflow(run_id) is FINISHED
    assert world.folder(run_id).closed
    assert len(world.machine.of(run_id)) == 1


def test_a_run_that_was_deleted_in_mlflow_while_it_trained_is_over_with_its_end(world: World):
    world.start()
    run_id = world.submit()
    world.mlflow.runs[run_id].deleted = True
    world.process(run_id).finish()
    world.later(60)
    assert world.run(run_id).status is FINISHED
    assert world.folder(run_id).closed


def test_mlflow_has_the_end_of_a_run_also_where_it_refuses_what_is_told_beside_it(world: World):
    world.start()
    run_id = world.submit()
    world.mlflow.refuses["log_batch"] = refusal()
    world.process(run_id).finish()
    world.later(60)
    assert world.in_mlflow(run_id) is FINISHED
    assert world.folder(run_id).closed


# What is scarce for a moment


def unreadable_at_first(monkeypatch, name: str, scarce: Exception) -> list[Exception]:
    """What the next reads of a file that is called so raise."""
    tries, real = [scarce, scarce], Path.read_bytes

    def once_there_is_one(path: Path) -> bytes:
        if path.name == name and tries:
            raise tries.pop()
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", once_there_is_one)
    return tries


@pytest.mark.parametrize(
    "scarce", [OSError(errno.EMFILE, "Too many open files"), RuntimeError("can't start new thread")]
)
@pytest.mark.parametrize("name", ["request.json", "state.json"])
def test_runs_are_taken_up_once_there_are_files_and_threads_again(
    world: World, monkeypatch, name: str, scarce: Exception
):
    world.start()
    running, waits = world.submit(max_attempts=2), world.submit()
    world.stop()
    tries = unreadable_at_first(monkeypatch, name, scarce)
    world.start()
    world.later(30)
    assert world.do(world.service.problems()) == {}
    assert not tries
    assert world.run(running).status is RUNNING
    assert world.run(waits).status is SCHEDULED
    assert len(world.machine.running()) == 1


@pytest.mark.parametrize("stops", [False, True], ids=["here", "by a later service"])
def test_a_run_that_has_finished_is_no_crash_where_there_is_no_file_to_read_that_with(
    world: World, monkeypatch, stops: bool
):
    world.start()
    run_id = world.submit()
    if stops:
        world.die()
    world.process(run_id).finish()
    tries = unreadable_at_first(monkeypatch, "outcome.json", OSError(errno.EMFILE, "Too many"))
    if stops:
        world.start()
    world.later(60)
    assert not tries
    assert world.run(run_id).status is FINISHED


def test_where_mlflow_refuses_to_tell_of_runs_those_in_folders_are_taken_up(world: World):
    world.start()
    run_id = world.submit(max_attempts=2)
    world.stop()
    world.mlflow.refuses["search_runs"] = refusal()
    world.start()
    world.later(60)
    assert world.run(run_id).status is RUNNING


def test_a_proxy_that_does_not_find_mlflow_says_nothing_of_runs(world: World):
    """A start took each for deleted, and closed its folder: the run was never trained, and RUNNING in MLflow for ever."""
    world.start()
    run_id = world.submit(max_attempts=2)
    world.die()
    world.mlflow.refuses["get_run"] = not_found_by_a_proxy()
    world.start()
    world.later(60)
    assert not world.folder(run_id).closed
    del world.mlflow.refuses["get_run"]
    world.machine.autopilot = True
    world.later(60)
    assert (world.run(run_id).status, world.in_mlflow(run_id)) == (FINISHED, FINISHED)


def test_tags_that_somebody_changed_in_mlflow_keep_no_service_from_starting(world: World):
    world.start()
    run_id = world.submit(max_attempts=2)
    world.die()
    world.mlflow.runs[run_id].tags |= {"trainyard.kind": "guessed", "trainyard.attempt": "many"}
    world.start()
    world.later(60)
    assert world.do(world.service.problems()) == {}
    assert world.run(run_id).status is RUNNING
