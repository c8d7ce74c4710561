"""A service under way: what breaks costs one run at most, and nothing that lasts."""

import asyncio
import errno
import gc
import os
import signal
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_mlflow import refusal
from fakes import MODEL_WITH_BATCHES, asked_for
from filelock import FileLock
from full_disk import Disk
from lives import World
from trainyard import control_groups
from trainyard.contract import FieldError, OnExisting, OnOutOfMemory, Phase, Reason, RunStatus
from trainyard.errors import Invalid, LaunchRefused, QueueFull, ServiceError, Unavailable
from trainyard.launcher.messages import EXIT_NO_SPACE
from trainyard.supervisor import slots
from trainyard.supervisor.idempotency import key_digest
from trainyard.tracking.runs import KEY_DIGEST

SCHEDULED, RUNNING = RunStatus.SCHEDULED, RunStatus.RUNNING
FINISHED, FAILED, KILLED = RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED


@pytest.fixture
def disk(world: World) -> Iterator[Disk]:
    disk = Disk()
    disk.loop = world.loop
    with disk.in_place():
        yield disk


def ended(world: World, run_id: str) -> tuple[RunStatus, Reason | None]:
    """How the run ended, for callers and in MLflow alike."""
    run = world.run(run_id)
    assert world.in_mlflow(run_id) is run.status
    return run.status, run.reason


def slots_in_use(world: World) -> float | None:
    return world.service.registry.get_sample_value("trainyard_runs_running")


# A full disk


@pytest.mark.parametrize("write", range(18))
@pytest.mark.parametrize("writes", [1, 4])
def test_a_full_disk_at_any_write_of_a_run_ends_it_and_frees_its_slot(
    world: World, disk: Disk, write: int, writes: int
):
    world.start()
    disk.full(after=write, writes=writes)
    try:
        run_id = world.submit()
    except Unavailable:
        world.later(60)
        assert world.mlflow.active() == []
    else:
        for process in world.machine.running():
            process.die()
        world.later(60)
        assert ended(world, run_id)[0] is FAILED
    assert not world.machine.running()
    disk.full(after=0, writes=0)
    after = world.submit()
    world.process(after).finish()
    world.later(10)
    assert ended(world, after) == (FINISHED, None)
    assert slots_in_use(world) == 0


def test_a_run_that_cannot_be_noted_as_started_starts_no_process(world: World, disk: Disk):
    world.start()
    disk.full(after=9, writes=2)  # the folder goes well, and the first state does not
    run_id = world.submit()
    world.later(10)
    assert disk.failed
    assert ended(world, run_id) == (FAILED, Reason.DISK_FULL)
    assert world.machine.processes == []


def test_an_end_that_is_on_record_nowhere_is_not_shown(world: World, disk: Disk):
    world.start()
    run_id = world.submit()
    world.mlflow.away = True
    disk.full(after=0, writes=10**6)
    world.do(world.service.cancel(run_id))
    world.later(60)
    assert world.run(run_id).status is RUNNING
    disk.full(after=0, writes=0)
    world.later(10)
    assert world.run(run_id).status is KILLED
    world.die()
    disk.loop = world.loop
    world.mlflow.away = False
    world.start()
    world.later(60)
    assert ended(world, run_id) == (KILLED, Reason.CANCELLED)


def test_a_stop_does_not_wait_for_a_disk_and_an_mlflow_that_are_both_away(world: World, disk: Disk):
    world.start()
    run_id = world.submit()
    world.mlflow.away = True
    disk.full(after=0, writes=10**6)
    world.do(world.service.cancel(run_id))
    world.later(60)
    before = world.loop.now
    world.stop()
    assert world.loop.now - before < 60
    disk.full(after=0, writes=0)
    world.mlflow.away = False
    world.start()
    world.later(60)
    assert ended(world, run_id)[0].ended


def test_a_service_that_starts_on_a_full_disk_takes_up_its_runs(world: World, disk: Disk):
    world.start()
    run_id = world.submit(max_attempts=3)
    world.die()
    disk.loop = world.loop
    disk.full(after=0, writes=1)
    world.start()
    assert world.do(world.service.problems()) == {}
    assert disk.failed == 1
    world.process(run_id).finish()
    world.later(10)
    assert ended(world, run_id) == (FINISHED, None)


# Processes


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-signal.SIGKILL, Reason.KILLED_BY_SIGNAL),
        (EXIT_NO_SPACE, Reason.DISK_FULL),
        (3, Reason.CRASHED),
        (0, Reason.CRASHED),
    ],
)
def test_a_process_that_leaves_no_outcome_fails_its_run(world: World, code: int, reason: Reason):
    world.start()
    run_id = world.submit()
    world.process(run_id).exit(code)
    world.later(10)
    assert ended(world, run_id) == (FAILED, reason)
    assert world.process(run_id).released == 1


@pytest.mark.parametrize(
    ("code", "reason"), [(3, Reason.CRASHED), (-signal.SIGKILL, Reason.OUT_OF_MEMORY)]
)
def test_a_kill_for_memory_counts_where_the_process_was_killed(
    world: World, code: int, reason: Reason, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """A sibling's kill does not explain another exit code."""
    events = tmp_path / "memory.events"
    events.write_text("oom_kill 0\n")
    monkeypatch.setattr(control_groups, "memory_files", lambda *_: [events])
    world.start()
    run_id = world.submit()
    events.write_text("oom_kill 1\n")
    world.process(run_id).exit(code)
    world.later(10)
    assert ended(world, run_id) == (FAILED, reason)


def test_a_model_without_batches_that_runs_out_of_memory_fails(world: World):
    world.start()
    run_id = world.submit(on_out_of_memory=OnOutOfMemory.HALVE_BATCH)
    world.process(run_id).fail(Reason.OUT_OF_MEMORY)
    world.later(10)
    assert ended(world, run_id) == (FAILED, Reason.OUT_OF_MEMORY)


def test_a_batch_is_halved_three_times_and_each_is_told_to_the_process(world: World):
    world.start()
    run_id = world.submit(model=MODEL_WITH_BATCHES, on_out_of_memory=OnOutOfMemory.HALVE_BATCH)
    for _ in range(4):
        world.process(run_id).fail(Reason.GPU_OUT_OF_MEMORY)
        world.later(10)
    assert [each.job.halvings for each in world.machine.of(run_id)] == [0, 1, 2, 3]
    assert ended(world, run_id) == (FAILED, Reason.GPU_OUT_OF_MEMORY)
    assert world.run(run_id).attempt == 1


def test_a_launch_that_cannot_be_now_is_tried_again_and_one_that_never_can_ends_the_run(
    world: World,
):
    world.start()
    world.launcher.launch_errors.extend([Unavailable("not now"), Unavailable("not now")])
    later = world.submit()
    world.later(10)
    assert world.run(later).status is RUNNING
    world.process(later).finish()
    world.later(10)
    world.launcher.launch_errors.append(LaunchRefused("the model was removed"))
    never = world.submit()
    world.later(10)
    assert ended(world, never) == (FAILED, Reason.CRASHED)
    assert "the model was removed" in (world.run(never).message or "")


def test_a_launcher_that_breaks_costs_one_run(world: World):
    world.start()
    world.launcher.launch_errors.append(RuntimeError("a fault of ours"))
    run_id = world.submit()
    world.later(10)
    assert ended(world, run_id) == (FAILED, Reason.CRASHED)
    assert slots_in_use(world) == 0


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_cancelled_process_has_the_grace_period_and_no_more(world: World, stubborn: bool):
    world.start(grace_seconds=15.0)
    run_id = world.submit()
    process = world.process(run_id)
    process.stubborn = stubborn
    world.do(world.service.cancel(run_id))
    world.later(10)
    assert process.asked_to_stop == 1
    assert process.runs is stubborn
    world.later(10)
    assert process.killed == stubborn
    assert ended(world, run_id) == (KILLED, Reason.CANCELLED)


def test_a_cancel_before_the_process_exists_starts_none(world: World):
    world.start()
    world.launcher.launch_errors.extend([Unavailable("not now")] * 3)
    run_id = world.submit()
    world.do(world.service.cancel(run_id))
    world.later(10)
    assert ended(world, run_id) == (KILLED, Reason.CANCELLED)
    assert world.machine.processes == []


def test_a_run_takes_no_longer_than_its_timeout_in_all_its_attempts(world: World):
    world.start()
    run_id = world.submit(timeout_seconds=100, max_attempts=9)
    world.later(60)
    world.process(run_id).die()
    world.later(30)
    assert world.run(run_id).status is RUNNING
    world.later(30)
    assert ended(world, run_id) == (FAILED, Reason.TIMED_OUT)
    assert len(world.machine.of(run_id)) == 2


# MLflow


def test_a_store_that_refuses_files_keeps_no_run_from_ending(world: World):
    world.start()
    world.mlflow.refuses["log_artifact"] = refusal()
    run_id = world.submit()
    world.process(run_id).finish()
    world.later(10)
    assert ended(world, run_id) == (FINISHED, None)
    assert slots_in_use(world) == 0


def test_two_submits_at_once_make_one_running_and_one_scheduled_run_in_mlflow(world: World):
    world.start(slots=1)

    async def both() -> list[str]:
        submits = [world.service.submit(asked_for(), None) for _ in range(2)]
        return [run.run_id for run, _ in await asyncio.gather(*submits)]

    first, second = world.do(both())
    world.later(10)
    assert {world.in_mlflow(first), world.in_mlflow(second)} == {RUNNING, SCHEDULED}
    for run_id in (first, second):
        assert world.in_mlflow(run_id) is world.run(run_id).status


def test_a_place_is_held_while_a_request_is_looked_at(world: World):
    world.start(slots=1, queue=1)

    async def many() -> list[Any]:
        submits = [world.service.submit(asked_for(), None) for _ in range(10)]
        return await asyncio.gather(*submits, return_exceptions=True)

    answers = world.do(many())
    assert sum(isinstance(each, QueueFull) for each in answers) == 8
    assert len(world.mlflow.runs) == 2


def test_a_refused_submit_frees_its_place(world: World):
    world.start(slots=1, queue=0)
    world.launcher.errors = [FieldError(pointer="/params", detail="wrong")]
    for _ in range(3):
        with pytest.raises(Invalid):
            world.submit()
    world.launcher.errors = []
    assert world.submit()


def test_refusals_while_mlflow_is_away_cost_nothing_that_lasts(world: World):
    world.start(queue=1000)
    live_one = world.submit()
    world.mlflow.away = True
    tasks = len(asyncio.all_tasks(world.loop))

    async def refused() -> None:
        with pytest.raises(Unavailable):
            await world.service.submit(asked_for(), None)

    async def many() -> None:
        await asyncio.gather(*(refused() for _ in range(300)))

    world.do(many())
    world.later(60)
    assert len(asyncio.all_tasks(world.loop)) <= tasks + 2
    before = world.mlflow.calls.total()
    world.later(600)
    assert world.mlflow.calls.total() - before < 10
    world.mlflow.away = False
    world.later(120)
    assert [run.run_id for run in world.mlflow.active()] == [live_one]
    assert len(asyncio.all_tasks(world.loop)) <= tasks


def test_what_mlflow_made_for_refused_submits_is_discarded_and_nothing_that_lives(world: World):
    world.start(queue=1000)
    lives = world.submit()
    world.mlflow.answers_lost = 300
    for number in range(100):
        with pytest.raises(Unavailable):
            world.submit(key=f"key {number}" if number % 2 else None)
    assert len(world.mlflow.runs) > 40
    world.mlflow.answers_lost = 0
    waits = world.submit()
    world.later(120)
    assert {run.run_id for run in world.mlflow.active()} == {lives, waits}


def test_a_discarded_run_does_not_answer_for_its_key(world: World):
    world.start()
    world.mlflow.experiments["Default"] = "0"
    world.do(
        world.service._blocking.mlflow(lambda: world.service._tracking.experiment_id("Default"))
    )
    real = world.service._tracking.create

    def made_and_lost(**fields: Any) -> Any:
        world.mlflow.answers_lost = 1
        return real(**fields)

    world.service._tracking.create = made_and_lost  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        world.submit(key="nightly")
    world.service._tracking.create = real  # type: ignore[method-assign]
    [orphan] = world.mlflow.active()
    assert orphan.tags[KEY_DIGEST] == key_digest("nightly")
    world.later(60)
    assert orphan.deleted
    orphan.deleted = False  # as it stands between two of the calls that discard it
    accepted = world.submit(key="nightly", on_existing=OnExisting.ATTACH)
    assert accepted != orphan.run_id


def test_a_key_whose_run_was_removed_from_mlflow_is_accepted_again(world: World):
    world.start()
    first = world.submit(key="nightly")
    world.process(first).finish()
    world.later(10)
    world.stop()
    del world.mlflow.runs[first]
    world.start()
    assert world.submit(key="nightly") != first


@pytest.mark.parametrize("while_away", [False, True])
def test_a_key_holds_over_a_restart(world: World, while_away: bool):
    world.start()
    first = world.submit(key="nightly")
    world.process(first).finish()
    world.later(10)
    world.stop()
    world.start()
    world.mlflow.away = while_away
    submit = world.service.submit(asked_for(), "nightly")
    if while_away:
        with pytest.raises(Unavailable):
            world.do(submit)
        return
    run, accepted = world.do(submit)
    assert (run.run_id, run.status, accepted) == (first, FINISHED, False)


# The service itself


@pytest.mark.parametrize("name", ["svc", "another"])
def test_one_process_serves_from_a_work_directory_whatever_it_is_called(world: World, name: str):
    first = world.start()
    run_id = world.submit()
    with pytest.raises(ServiceError, match=r"another TRAINYARD_WORK_DIR$"):
        world.start(instance=name)
    assert world.process(run_id).released == 0
    assert world.do(first.get(run_id)).status is RUNNING
    world.do(first.stop())
    world.start(instance="svc")


def test_a_service_leaves_the_work_directory_to_an_older_version_that_has_it(world: World):
    older = FileLock(world.home / "another.lock")
    with older, pytest.raises(ServiceError, match=r"another\.lock"):
        world.start(instance="another")
    world.start()


def test_until_earlier_runs_are_known_submits_are_refused_and_readiness_says_why(world: World):
    world.start()
    world.submit()
    world.die()
    world.mlflow.away = True
    world.start()
    assert {"mlflow", "recovery"} <= set(world.do(world.service.problems()))
    with pytest.raises(Unavailable):
        world.submit()
    world.mlflow.away = False
    world.later(10)
    assert world.do(world.service.problems()) == {}


def test_below_the_least_free_disk_submits_are_refused(world: World):
    world.start(min_free_disk_mb=10**12)
    assert set(world.do(world.service.problems())) == {"disk"}
    with pytest.raises(Unavailable):
        world.submit()


def test_an_ended_run_leaves_nothing_in_memory_that_the_newest_do_not_need(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    world.start()
    monkeypatch.setattr(world.service._known, "_recent", 10)
    world.machine.autopilot = True
    watched = []
    for number in range(40):
        run_id = world.submit(key=f"key {number}")
        live = world.service._known.get(run_id)
        assert live
        watched.append(weakref.ref(live))
        del live
        world.later(5)
        world.machine.processes.clear()
    world.later(60)
    gc.collect()
    assert sum(each() is not None for each in watched) <= 10
    status = world.service._mlflow_status
    assert (status._told, status._wanted, status._telling) == ({}, {}, {})


# What breaks in the service itself


def test_a_run_ends_whatever_the_service_raises_while_it_sees_it_through(world: World, monkeypatch):
    """Beside what an attempt raises, which is its outcome; here once it is decided what follows."""

    def breaks(*_: Any) -> Any:
        raise RuntimeError("can't start new thread")

    world.start()
    run_id = world.submit(max_attempts=3)
    monkeypatch.setattr(slots, "decide", breaks)
    world.process(run_id).die()
    world.later(60)
    assert ended(world, run_id) == (FAILED, Reason.CRASHED)
    assert "can't start new thread" in (world.run(run_id).message or "")
    assert world.in_mlflow(run_id) is FAILED
    assert slots_in_use(world) == 0


@pytest.mark.parametrize("part", ["_notices.ended", "_ledger.write", "_measures.ended"])
def test_a_run_ends_whatever_is_raised_by_what_is_told_of_its_end(
    world: World, monkeypatch, part: str
):
    def breaks(*_: Any) -> Any:
        raise RuntimeError("can't start new thread")

    world.start()
    run_id = world.submit()
    owner, _, method = part.partition(".")
    monkeypatch.setattr(getattr(world.service, owner), method, breaks)
    world.process(run_id).finish()
    world.later(60)
    assert ended(world, run_id) == (FINISHED, None)
    assert world.folder(run_id).closed
    assert slots_in_use(world) == 0


def test_the_end_of_a_search_that_cannot_be_noted_is_told_as_such(world: World, monkeypatch):
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    world.start()
    run_id = world.submit(
        search={"trials": 5, "space": {"rounds": [1, 2]}, "on_cancel": "train_best"}
    )
    world.process(run_id).enter(Phase.SEARCHING)
    monkeypatch.setattr(Path, "touch", full)
    with pytest.raises(Unavailable, match="No space left"):
        world.do(world.service.cancel(run_id))


def test_what_runs_leave_on_disk_is_for_the_service_alone(world: World):
    """A request may hold addresses that open data, and a log what was read."""
    world.start()
    run_id = world.submit()
    assert world.folder(run_id).path.parent.stat().st_mode & 0o077 == 0


def test_a_run_that_a_signal_without_a_name_ended_says_which(world: World):
    """Linux's real-time signals have none."""
    world.start()
    run_id = world.submit()
    world.process(run_id).exit(-40)
    world.later(10)
    assert ended(world, run_id) == (FAILED, Reason.KILLED_BY_SIGNAL)
    assert world.run(run_id).message == "the run's process was ended by signal 40"
