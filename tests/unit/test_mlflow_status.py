"""What MLflow is told of a run, when it is away, slow, or refuses."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from fake_mlflow import FakeMlflow, FakeTracking, does_not_answer, refusal
from trainyard.contract import Reason, RunStatus
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.decision import ended_by
from trainyard.supervisor.mlflow_status import MlflowStatus
from virtual_time import in_no_time

SCHEDULED, RUNNING, FAILED = RunStatus.SCHEDULED, RunStatus.RUNNING, RunStatus.FAILED


class Desk:
    """A status teller, one run that MLflow has, and what MLflow shows of it."""

    def __init__(self) -> None:
        self.mlflow = FakeMlflow()
        self.tracking = FakeTracking(self.mlflow)
        self.blocking = Blocking("http://mlflow.test", self.tracking.answers)
        self.status = MlflowStatus(self.tracking, self.blocking, asyncio.create_task)
        made = self.tracking.create(experiment_id="0", run_name=None, tags={})
        self.run_id = made.info.run_id
        self.run = self.tracking.read(self.run_id)
        self.status.made(self.run_id)

    @property
    def statuses(self) -> list[RunStatus]:
        return self.mlflow.runs[self.run_id].statuses

    async def close(self, *files: Path) -> None:
        assert self.run
        outcome = ended_by(Reason.CRASHED)
        fields = outcome.model_dump(include={"status", "reason", "ended_at"})
        await self.status.close(self.run.model_copy(update=fields), files)


def at_the_desk(work: Callable[[Desk], Coroutine[Any, Any, None]]) -> Desk:
    """The desk after the work, with an hour for what is still on its way."""

    async def day() -> Desk:
        desk = Desk()
        await work(desk)
        await asyncio.sleep(3600)
        return desk

    return in_no_time(day())


def test_a_run_that_starts_at_once_costs_mlflow_no_call():
    async def work(desk: Desk) -> None:
        desk.status.tell(desk.run_id, RUNNING)

    assert at_the_desk(work).mlflow.calls["update_run"] == 0


def test_a_queued_run_does_not_stay_running():
    async def work(desk: Desk) -> None:
        desk.status.tell(desk.run_id, SCHEDULED)

    assert at_the_desk(work).statuses == [RUNNING, SCHEDULED]


@pytest.mark.parametrize("newest", [SCHEDULED, RUNNING])
def test_of_many_statuses_while_mlflow_is_away_the_newest_is_told(newest: RunStatus):
    async def work(desk: Desk) -> None:
        desk.mlflow.away = True
        for status in (SCHEDULED, RUNNING, SCHEDULED, RUNNING, newest):
            desk.status.tell(desk.run_id, status)
            await asyncio.sleep(5)
        desk.mlflow.away = False

    assert at_the_desk(work).statuses[-1] is newest


def test_a_status_whose_answer_was_lost_is_told_again():
    async def work(desk: Desk) -> None:
        desk.mlflow.answers_lost = 1
        desk.status.tell(desk.run_id, SCHEDULED)
        await asyncio.sleep(0)
        desk.status.tell(desk.run_id, RUNNING)

    assert at_the_desk(work).statuses[-1] is RUNNING


def test_a_status_that_mlflow_refuses_is_not_told_for_ever():
    async def work(desk: Desk) -> None:
        desk.mlflow.refuses["update_run"] = refusal()
        desk.status.tell(desk.run_id, SCHEDULED)

    assert at_the_desk(work).mlflow.calls["update_run"] == 1


def test_mlflow_is_told_of_one_waiting_run_at_a_time_and_an_end_does_not_queue_behind_them(
    monkeypatch: pytest.MonkeyPatch,
):
    told: list[str] = []
    begun, answer = threading.Event(), threading.Event()

    def hold(run_id: str, status: RunStatus) -> None:
        told.append(f"{run_id} {status}")
        begun.set()
        answer.wait(60)

    async def burst() -> None:
        desk = Desk()
        monkeypatch.setattr(desk.tracking, "set_status", hold)
        waiting = [
            desk.tracking.create(experiment_id="0", run_name=None, tags={}).info.run_id
            for _ in range(3)
        ]
        for run_id in waiting:
            desk.status.made(run_id)
            desk.status.tell(run_id, SCHEDULED)
        try:
            await asyncio.to_thread(begun.wait, 60)
            await desk.close()
            assert desk.statuses[-1] is FAILED
            assert told == [f"{waiting[0]} SCHEDULED"]
        finally:
            answer.set()
        await desk.blocking.close()

    asyncio.run(burst())


def test_the_end_is_the_last_that_mlflow_is_told():
    async def work(desk: Desk) -> None:
        desk.mlflow.away = True
        desk.status.tell(desk.run_id, SCHEDULED)
        closing = asyncio.create_task(desk.close())
        await asyncio.sleep(60)
        desk.mlflow.away = False
        await closing

    assert at_the_desk(work).statuses[-1] is FAILED


def test_a_store_that_refuses_files_is_given_up_and_the_status_is_there_before(tmp_path: Path):
    log = tmp_path / "training.log"
    log.write_text("round 1")

    async def work(desk: Desk) -> None:
        desk.mlflow.refuses["log_artifact"] = does_not_answer()
        closing = asyncio.create_task(desk.close(log))
        await asyncio.sleep(0.1)
        assert desk.statuses[-1] is FAILED
        async with asyncio.timeout(60):
            await closing

    desk = at_the_desk(work)
    assert desk.mlflow.calls["log_artifact"] == 5
    assert desk.statuses == [RUNNING, FAILED]


def test_files_wait_for_an_mlflow_that_is_away(tmp_path: Path):
    log = tmp_path / "training.log"
    log.write_text("round 1")

    async def work(desk: Desk) -> None:
        closing = asyncio.create_task(desk.close(log))
        await asyncio.sleep(0)
        desk.mlflow.away = True
        await asyncio.sleep(600)
        desk.mlflow.away = False
        await closing

    desk = at_the_desk(work)
    assert desk.mlflow.runs[desk.run_id].artifacts == {"training.log": b"round 1"}
