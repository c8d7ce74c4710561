"""What a task does in its second and third try, and who cancels its run: the operator alone, against a service in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow_lab import Interpreter, connections
from in_memory import serving
from trainyard.contract import Caller, Reason, Run, RunRequest, RunStatus
from trainyard.errors import QueueFull
from trainyard.testing import InMemoryRuns

pytestmark = pytest.mark.anyio
PROGRAM = """
import asyncio, datetime, os
from types import SimpleNamespace
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from trainyard.airflow import TrainOperator
from trainyard.airflow.trigger import SubmitTrigger

class Kept(dict):
    set = dict.__setitem__

def task(state, request, minutes, method, event):
    timeout = datetime.timedelta(minutes=minutes) if minutes else None
    operator = TrainOperator(
        task_id="t", conn_id="trainyard_double", request=request, execution_timeout=timeout
    )
    instance = SimpleNamespace(
        dag_id="d", run_id="r", task_id="t", map_index=-1, xcom_push=lambda **_: None
    )
    context = {"ti": instance, "task_state_store": Kept(state)}
    try:
        found = {"given": getattr(operator, method)(context, *event)}
    except TaskDeferred as deferred:
        found = {"deferred": deferred.method_name, **deferred.trigger.serialize()[1]}
    except AirflowException as error:
        found = {type(error).__name__: str(error)}
    return [found, context["task_state_store"]]

async def _submitted(arguments, killed):
    trigger = SubmitTrigger(**arguments)
    async for event in trigger.run():
        if killed:
            await trigger.on_kill()
        return event.payload

def submitted(arguments, killed):
    return asyncio.run(_submitted(arguments, killed))

async def _killed_once_asked(arguments, asked):
    trigger = SubmitTrigger(**arguments)
    running = asyncio.ensure_future(anext(trigger.run()))
    async with asyncio.timeout(60):
        while not os.path.exists(asked):
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait([running])
    await trigger.on_kill()

def killed_once_asked(arguments, asked):
    return asyncio.run(_killed_once_asked(arguments, asked))

def answer(variables, what, *given):
    os.environ.update(variables)
    return globals()[what](*given)
"""
ONE = {"model": "xgboost_classifier", "data": {"source": "builtin", "name": "iris"}}
OTHER = {**ONE, "params": {"n_estimators": 3}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Runs(InMemoryRuns):
    """A service whose queue is full while the test says so, or whose first answer to a submit does not arrive."""

    full = False
    asked: Path | None = None
    """Written once it has accepted a run and keeps silent."""

    def __init__(self, logs: Path) -> None:
        super().__init__(logs)
        self.answer = asyncio.Event()

    async def submit(
        self, request: RunRequest, key: str | None, by: Caller | None = None
    ) -> tuple[Run, bool]:
        self._with_key(request, key)
        if self.full:
            raise QueueFull
        accepted = await super().submit(request, key, by)
        if self.asked is not None and not self.asked.exists():
            self.asked.touch()
            await self.answer.wait()
        return accepted


@dataclass
class Task:
    """One task instance: its tries, what Airflow keeps between them, and what its triggers do."""

    runs: Runs
    url: str
    interpreter: Interpreter
    state: dict[str, str] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=lambda: ONE)
    minutes: float | None = None

    async def __call__(self, method: str = "execute", *event: dict[str, Any]) -> dict[str, Any]:
        """How a try, or what of it comes after a deferral, ends."""
        found, self.state = await self._ask(
            "task", self.state, self.request, self.minutes, method, event
        )
        return dict(found)

    async def triggered(self, deferred: dict[str, Any], *, killed: bool = False) -> dict[str, Any]:
        """The event of the trigger that was deferred to; `killed` for a task that was marked before it was told."""
        return dict(await self._ask("submitted", self._given(deferred), killed))

    async def killed_once_asked(self, deferred: dict[str, Any], asked: Path) -> None:
        """What the trigger does for a task that is marked once the service was asked."""
        await self._ask("killed_once_asked", self._given(deferred), str(asked))

    def _given(self, deferred: dict[str, Any]) -> dict[str, Any]:
        arguments = {name: value for name, value in deferred.items() if name != "deferred"}
        return arguments | {"not_before": 0.0}  # `test_retry_after` has that

    async def _ask(self, *given: Any) -> Any:
        return await asyncio.to_thread(
            self.interpreter.ask, connections({"double": self.url}), *given
        )

    async def status(self, run_id: str) -> RunStatus:
        return (await self.runs.get(run_id)).status


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    home = tmp_path_factory.mktemp("tries")
    made = Interpreter(PROGRAM, home, AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="0")
    yield made
    made.close()


@pytest.fixture
async def task(tmp_path: Path, interpreter: Interpreter) -> AsyncIterator[Task]:
    runs = Runs(tmp_path)
    async with serving(runs) as url:
        yield Task(runs, url, interpreter)


async def test_a_third_try_finds_the_run_of_the_second_which_sent_another_request(
    task: Task,
) -> None:
    first = (await task())["run_id"]
    task.request = OTHER
    second = (await task())["run_id"]
    assert await task.status(first) is RunStatus.KILLED
    third = await task()
    assert third["run_id"] == second
    assert third["found_at"] == pytest.approx(time.time(), abs=60)
    assert await task.status(second) is RunStatus.SCHEDULED
    task.request = {**ONE, "params": {"n_estimators": 4}}
    assert (await task())["run_id"] not in {first, second}
    assert await task.status(second) is RunStatus.KILLED


async def test_a_request_that_is_changed_and_changed_back_leaves_no_run_to_go_on(
    task: Task,
) -> None:
    first = (await task())["run_id"]
    task.request = OTHER
    second = (await task())["run_id"]
    task.request = ONE
    third = (await task())["run_id"]
    assert third not in {first, second}
    assert await task.status(second) is RunStatus.KILLED
    assert await task.status(third) is RunStatus.SCHEDULED


async def test_a_task_that_is_cleared_after_it_succeeded_trains_again_and_each_of_its_tries_once(
    task: Task,
) -> None:
    first = (await task())["run_id"]
    ended = await task.runs.change(first, status=RunStatus.FINISHED)
    found = await task()
    assert found["given"]["run_id"] == first, "a retry that was killed before it gave the run on"
    second = (await task())["run_id"]
    assert second != first
    assert (await task())["run_id"] == second
    event = ended.model_copy(update={"run_id": second}).model_dump(mode="json")
    assert (await task("ended", {"run": event}))["given"]["run_id"] == second
    task.request = OTHER
    third = (await task())["run_id"]
    assert third not in {first, second}
    task.request = ONE
    fourth = (await task())["run_id"]
    assert fourth not in {first, second, third}
    assert (await task())["run_id"] == fourth


async def test_another_request_waits_for_room_in_the_queue_as_the_first_one_does(
    task: Task,
) -> None:
    await task()
    task.request, task.runs.full = OTHER, True
    deferred = await task()
    assert deferred["deferred"] == "submitted"
    task.runs.full = False
    event = await task.triggered(deferred)
    waits = await task("submitted", event)
    assert (waits["deferred"], waits["run_id"]) == ("ended", event["run"]["run_id"])


async def test_a_trigger_that_was_told_of_another_request_hands_back_and_the_new_one_is_waited_for(
    task: Task,
) -> None:
    task.runs.full = True
    deferred = await task()
    task.runs.full = False
    await task.triggered(deferred)
    changed = {**deferred, "request": OTHER}
    event = await task.triggered(changed)
    assert "error" in event
    task.request, task.runs.full = OTHER, True
    again = await task("submitted", event)
    assert again["deferred"] == "submitted"
    assert again["key"] != deferred["key"]
    assert again["give_up_at"] == deferred["give_up_at"]
    over = await task("submitted", event | {"give_up_at": time.time() - 1})
    assert over["AirflowException"].startswith("the run was not accepted")


async def test_who_cancels_a_run_that_was_found_is_believed_unless_it_was_being_cancelled_then(
    task: Task,
) -> None:
    run_id = (await task())["run_id"]
    found = await task()
    cancelled = {"status": RunStatus.KILLED, "reason": Reason.CANCELLED, "retryable": False}
    run = await task.runs.change(run_id, **cancelled)

    def event(after: timedelta) -> dict[str, Any]:
        ended_at = datetime.fromtimestamp(found["found_at"], UTC) + after
        ended = run.model_copy(update={"ended_at": ended_at}).model_dump(mode="json")
        return {"run": ended, "found_at": found["found_at"], "deadline": None}

    late = await task("ended", event(timedelta(hours=1)))
    assert "ended KILLED, cancelled" in late["AirflowFailException"]
    assert len(task.runs.submitted) == 1
    soon = await task("ended", event(timedelta(seconds=5)))
    assert soon["deferred"] == "ended"
    assert soon["run_id"] != run_id


async def test_the_time_of_a_task_counts_from_its_start_however_long_it_waits_to_submit(
    task: Task,
) -> None:
    task.minutes, task.runs.full = 90, True
    deferred = await task()
    assert deferred["deadline"] == pytest.approx(time.time() + 90 * 60, abs=60)
    assert deferred["give_up_at"] <= deferred["deadline"]
    task.runs.full = False
    event = await task.triggered(deferred) | {"deadline": 1_000.0}
    waits = await task("submitted", event)
    assert waits["deadline"] == 1_000.0
    assert (await task("ended", {"error": "away", "deadline": 1_000.0})) == {
        "AirflowException": "away"
    }


async def test_a_run_that_the_triggerer_submitted_is_cancelled_when_its_task_is_marked(
    task: Task,
) -> None:
    task.runs.full = True
    deferred = await task()
    task.runs.full = False
    event = await task.triggered(deferred, killed=True)
    assert await task.status(event["run"]["run_id"]) is RunStatus.KILLED


async def test_a_run_whose_submit_was_not_answered_yet_is_cancelled_when_its_task_is_marked(
    task: Task, tmp_path: Path
) -> None:
    task.runs.full = True
    deferred = await task()
    task.runs.full, task.runs.asked = False, tmp_path / "asked"
    await task.killed_once_asked(deferred, task.runs.asked)
    task.runs.answer.set()
    run_id = await task.runs.next_submitted()
    assert len(task.runs.submitted) == 1
    assert await task.status(run_id) is RunStatus.KILLED
