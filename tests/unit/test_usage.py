"""What runs used: on each run, in MLflow, and added up for teams and months."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes import asked_for
from lives import World
from trainyard.contract import Caller, Reason, Role, Run, RunStatus, Usage
from trainyard.errors import Unavailable
from trainyard.launcher.protocol import Used
from trainyard.people.ledger import Ledger

ANA = Caller(name="ana", team="growth", role=Role.TRAIN)


def usage_of(world: World, run_id: str) -> Usage:
    usage = world.run(run_id).usage
    assert usage is not None
    return usage


def test_usage_is_of_all_attempts_and_the_queue_is_what_is_left(world: World):
    world.start(gpus="0", run_gpus=1)
    run_id = world.submit(max_attempts=2)
    assert world.run(run_id).usage is None
    world.process(run_id).used = Used(cpu_seconds=30.0, peak_memory_mb=700)
    world.later(10)
    world.process(run_id).fail(Reason.CRASHED)
    world.later(1)
    world.process(run_id).used = Used(cpu_seconds=12.0, peak_memory_mb=500)
    world.later(20)
    world.process(run_id).finish()
    world.later(5)
    usage = usage_of(world, run_id)
    assert (usage.cpu_seconds, usage.peak_memory_mb) == (42.0, 700)
    assert usage.gpu_seconds == usage.run_seconds
    assert usage.run_seconds >= 0
    told = world.mlflow.runs[run_id].metrics
    assert told["system/usage_cpu_seconds"] == 42.0
    assert told["system/usage_peak_memory_mb"] == 700


@pytest.mark.parametrize("how", ["fails", "is killed", "is cancelled"])
def test_failed_and_killed_runs_have_used_what_they_used(world: World, how: str):
    world.start()
    run_id = world.submit()
    process = world.process(run_id)
    process.used = Used(cpu_seconds=7.0, peak_memory_mb=90)
    if how == "fails":
        process.fail(Reason.DIVERGED)
    elif how == "is killed":
        process.die()
    else:
        world.do(world.service.cancel(run_id))
    world.later(20)
    assert usage_of(world, run_id).cpu_seconds == 7.0
    assert usage_of(world, run_id).peak_memory_mb == 90


def test_a_run_that_never_started_used_nothing(world: World):
    world.start()
    world.submit()
    waits = world.submit()
    world.do(world.service.cancel(waits))
    usage = usage_of(world, waits)
    assert (usage.run_seconds, usage.cpu_seconds, usage.gpu_seconds) == (0.0, 0.0, 0.0)


def test_what_a_killed_service_cannot_know_is_null_also_once_the_run_went_on(world: World):
    world.start()
    run_id = world.submit(max_attempts=2)
    world.die()
    world.start()
    world.later(10)
    world.process(run_id).finish()
    world.later(10)
    usage = usage_of(world, run_id)
    assert (usage.cpu_seconds, usage.peak_memory_mb) == (None, None)
    assert "system/usage_cpu_seconds" not in world.mlflow.runs[run_id].metrics
    (row,) = world.do(world.service.usage()).usage
    assert (row.runs, row.cpu_seconds, row.not_seen) == (1, 0.0, 1)


def test_what_a_service_has_seen_before_it_stopped_counts_after(world: World):
    world.start()
    run_id = world.submit()
    world.process(run_id).used = Used(cpu_seconds=5.0, peak_memory_mb=100)
    world.stop()
    world.start()
    world.later(10)
    world.process(run_id).used = Used(cpu_seconds=2.0, peak_memory_mb=50)
    world.process(run_id).finish()
    world.later(10)
    assert usage_of(world, run_id).cpu_seconds == 7.0


def test_usage_is_read_back_from_mlflow(world: World):
    world.start()
    run_id = world.submit()
    world.process(run_id).finish()
    world.later(10)
    before = usage_of(world, run_id)
    world.stop()
    world.start()
    world.later(10)
    assert usage_of(world, run_id) == before


def ended(run_id: str, **changes: object) -> Run:
    day = datetime(2026, 11, 28, tzinfo=UTC)
    usage = Usage(
        queue_seconds=1.0, run_seconds=10.0, cpu_seconds=20.0, gpu_seconds=0.0, peak_memory_mb=1
    )
    fields = {
        "run_id": run_id,
        "status": RunStatus.FINISHED,
        "version": 1,
        "model": "m",
        "service": "s",
        "experiment": "e",
        "experiment_id": "0",
        "run_name": "r",
        "submitted_at": day,
        "ended_at": day,
        "team": "growth",
        "usage": usage,
        "links": {"self": "", "logs": "", "mlflow": ""},
    }
    return Run.model_validate(fields | changes)


def test_teams_and_months_are_added_up_each_run_once_and_the_newest_month_first(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path / "usage")
    assert ledger.report() == []
    for run in (
        ended("a"),
        ended("b", status=RunStatus.FAILED),
        ended("c", team=None),
        ended("old", ended_at=datetime(2026, 10, 31, tzinfo=UTC)),
        ended("a", team="thief"),
    ):
        ledger.write(run)
    found = [(row.month, row.team, row.runs, row.finished) for row in ledger.report()]
    assert found == [
        ("2026-11", "growth", 2, 1),
        ("2026-11", None, 1, 1),
        ("2026-10", "growth", 1, 1),
    ]
    assert ledger.report("2026-11")[0].cpu_seconds == 40.0
    ledger.write(ended("d"))
    assert ledger.report("2026-11")[0].runs == 3
    assert ledger.report("2025-01") == []


def test_a_line_that_was_cut_short_costs_itself_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(ended("a"))
    with (tmp_path / "2026-11.jsonl").open("a") as file:
        file.write('{"run_id": "b", "st')
    ledger.write(ended("c"))
    assert ledger.report()[0].runs == 2


def test_a_ledger_that_cannot_be_read_is_unavailable(world: World):
    world.start()
    folder = world.home / "usage" / "svc"
    (folder / "2026-11.jsonl").mkdir(parents=True)
    with pytest.raises(Unavailable, match="what runs used cannot be read"):
        world.do(world.service.usage())


def test_whose_run_it_was_is_in_the_sum(world: World):
    world.start()
    run, _ = world.do(world.service.submit(asked_for(), None, ANA))
    world.later(1)
    world.process(run.run_id).finish()
    world.later(10)
    (row,) = world.do(world.service.usage()).usage
    assert (row.team, row.runs, row.finished) == ("growth", 1, 1)
