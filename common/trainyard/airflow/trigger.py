"""What waits in the triggerer: for a submit to be accepted, and for a run to end.

Each yields one event and is then over. Both may be started again by another triggerer at any time: a submit
has its Idempotency-Key, and a wait only reads.
"""

import asyncio
import json
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from airflow.configuration import conf
from airflow.triggers.base import BaseTrigger, TriggerEvent

from trainyard.airflow import waiting
from trainyard.airflow.connection import find_async
from trainyard.client import AsyncTrainyardClient
from trainyard.client.patience import Patience
from trainyard.contract import Run, RunKind
from trainyard.errors import TrainyardError

CANCEL_SECONDS = 25.0
"""Airflow gives a trigger half a minute to stop."""
FIND_SECONDS = 10.0
"""Of it, to find a run whose submit was not answered."""


class ServiceTrigger(BaseTrigger):
    """A trigger that talks to the service of a connection. The token stays in the connection.

    It yields one event, at the earliest `settling_seconds` after it began, see docs/adr/0007.
    """

    conn_id: str
    run_id: str | None = None
    """Of the run that it is about, once there is one."""
    cancel_on_kill: bool = False

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        settled = time.monotonic() + settling_seconds()
        event = await self._event()
        await asyncio.sleep(max(0.0, settled - time.monotonic()))
        yield TriggerEvent(event)

    async def on_kill(self) -> None:
        """Cancel the run: a user cleared or marked the task."""
        if self.run_id is None or not self.cancel_on_kill:
            return
        async with await self._client() as client:
            await Patience(seconds=CANCEL_SECONDS).call_async(partial(client.cancel, self.run_id))
        self._say(f"Cancelled run {self.run_id}")

    @abstractmethod
    async def _event(self) -> dict[str, Any]:
        """What the task goes on with."""

    async def _client(self) -> AsyncTrainyardClient:
        url, token = await find_async(self.conn_id)
        return AsyncTrainyardClient(url, token=token)

    def _say(self, line: str) -> None:
        self.log.info("%s", line)


class TrainTrigger(ServiceTrigger):
    """Waits for a run's end, at most two questions a minute at the default `wait_seconds`.

    Its event is `{"run": the Run}`, ended unless `deadline` came first, or `{"error": a sentence}` when the
    service was silent for `patience_seconds` or does not know the run; and, as they were given, `deadline` and
    `found_at`: when this try found the run that an earlier one had submitted, None for a run of its own. Times are
    in seconds since 1970.
    """

    run_id: str

    def __init__(  # noqa: PLR0913 - what `serialize` gives back
        self,
        *,
        conn_id: str,
        run_id: str,
        wait_seconds: float,
        patience_seconds: float,
        deadline: float | None = None,
        cancel_on_kill: bool = True,
        found_at: float | None = None,
        found: bool = False,
    ) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.run_id = run_id
        self.wait_seconds = wait_seconds
        self.patience_seconds = patience_seconds
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.found_at = found_at
        del found  # of a task that an earlier version deferred

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How another triggerer makes the same one."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id,
            "run_id": self.run_id,
            "wait_seconds": self.wait_seconds,
            "patience_seconds": self.patience_seconds,
            "deadline": self.deadline,
            "cancel_on_kill": self.cancel_on_kill,
            "found_at": self.found_at,
        }

    async def _event(self) -> dict[str, Any]:
        # `airflow dags test` hands on nothing to the task but the event.
        return {**await self._end(), "found_at": self.found_at, "deadline": self.deadline}

    async def _end(self) -> dict[str, Any]:
        self._say(f"Waiting for run {self.run_id} in the triggerer")
        try:
            async with await self._client() as client:
                run = await waiting.wait(
                    client,
                    self.run_id,
                    wait_seconds=self.wait_seconds,
                    patience_seconds=self.patience_seconds,
                    deadline=self.deadline,
                    say=self._say,
                )
        except TrainyardError as error:
            return {"error": f"run {self.run_id} cannot be waited for: {error}"}
        return ended_event(run)


class SubmitTrigger(ServiceTrigger):
    """Submits for as long as the service is away or its queue full, so that no worker slot waits for it.

    Its event is `{"run": the accepted Run}` or `{"error": a sentence}`, and, as they were given, `key`, `give_up_at`
    and `deadline`, when the task's time is over. Times are in seconds since 1970: it gives up at `give_up_at`, and
    does not ask before `not_before`, when the service wanted to be asked again.
    """

    def __init__(  # noqa: PLR0913 - what `serialize` gives back
        self,
        *,
        conn_id: str,
        request: dict[str, Any],
        key: str,
        give_up_at: float,
        not_before: float = 0.0,
        kind: str = RunKind.TRAIN,
        deadline: float | None = None,
        cancel_on_kill: bool = True,
    ) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.request = request
        self.kind = RunKind(kind)
        self.key = key
        self.give_up_at = give_up_at
        self.not_before = not_before
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self._asking = False

    async def on_kill(self) -> None:
        """Cancel the run, also one that the service has accepted while its answer was still on the way."""
        if self._asking and self.cancel_on_kill:
            try:
                self.run_id = (await self._submit_until(time.time() + FIND_SECONDS)).run_id
            except TrainyardError as error:
                self._say(f"No run to cancel was found: {error}")
        await super().on_kill()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How another triggerer makes the same one."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id,
            "request": self.request,
            "key": self.key,
            "give_up_at": self.give_up_at,
            "not_before": self.not_before,
            "kind": self.kind.value,
            "deadline": self.deadline,
            "cancel_on_kill": self.cancel_on_kill,
        }

    async def _event(self) -> dict[str, Any]:
        carried = {"key": self.key, "give_up_at": self.give_up_at, "deadline": self.deadline}
        return {**await self._submitted(), **carried}

    async def _submitted(self) -> dict[str, Any]:
        await asyncio.sleep(max(0.0, self.not_before - time.time()))
        self._asking = True
        try:
            run = await self._submit_until(self.give_up_at)
        except TrainyardError as error:
            self._asking = False
            return {"error": f"the run was not accepted: {error}"}
        self._asking = False
        self.run_id = run.run_id
        return ended_event(run)

    async def _submit_until(self, deadline: float) -> Run:
        """The run of the key, old or new."""
        async with await self._client() as client:
            return await waiting.submit(
                client,
                self.request,
                kind=self.kind,
                key=self.key,
                deadline=deadline,
                say=self._say,
            )


def settling_seconds() -> float:
    """How long a task stays deferred at least: until Airflow's executor has surely told of the worker that deferred it."""
    heartbeat: int = conf.getint("workers", "min_heartbeat_interval")
    return 2.0 * heartbeat


def ended_event(run: Run) -> dict[str, Any]:
    """A run as the payload of an event: plain JSON."""
    return {"run": run.model_dump(mode="json")}


def run_of(event: Mapping[str, Any]) -> Run:
    """The run in a trigger's event."""
    return Run.model_validate_json(json.dumps(event["run"]))
