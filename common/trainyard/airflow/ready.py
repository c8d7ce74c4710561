"""Waiting for a service to be ready for a model, before anything else of a pipeline starts."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from trainyard.airflow.connection import find, find_async
from trainyard.airflow.trigger import ServiceTrigger
from trainyard.client import AsyncTrainyardClient, may_pass
from trainyard.errors import TrainyardError


class ServiceReadySensor(BaseSensorOperator):
    """Waits until the service takes trainings and knows the model, holding no worker slot.

    A model that a ready service does not train fails at once, and so does a token that it refuses; a service
    that is not ready after `timeout` fails with what is in its way.

    :param conn_id: The HTTP connection of the service; its password is the service's token. (templated)
    :param model: One of the service's models. (templated)
    :param deferrable: Wait in the triggerer; otherwise in the worker, as `mode` says.
    :param poke_interval: Seconds between two questions.
    :param timeout: Seconds to wait at most.
    """

    template_fields: Sequence[str] = ("conn_id", "model")

    def __init__(
        self, *, conn_id: str, model: str, deferrable: bool = True, poke_interval: float = 5.0, timeout: float = 600.0, **kwargs: Any
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.conn_id = conn_id
        self.model = model
        self.deferrable = deferrable

    def execute(self, context: Any) -> Any:
        """Ask once; wait where there is something to wait for."""
        if not self.deferrable:
            return super().execute(context)
        if not self.poke(context):
            trigger = ReadyTrigger(
                conn_id=self.conn_id, model=self.model, pause_seconds=self.poke_interval, give_up_at=time.time() + self.timeout
            )
            self.defer(trigger=trigger, method_name="found")
        return None

    def poke(self, context: Any) -> bool:  # noqa: ARG002 - Airflow's signature
        """Whether the service is ready. Raises `AirflowFailException` for what waiting cannot mend."""
        url, token = find(self.conn_id)
        try:
            missing = asyncio.run(_ask(AsyncTrainyardClient(url, token=token), self.model))
        except TrainyardError as error:
            raise AirflowFailException(f"{url}: {error}") from error
        self.log.info("%s: %s", url, missing or f"ready for {self.model}")
        return not missing

    def found(self, context: Any, event: dict[str, Any]) -> None:  # noqa: ARG002 - Airflow's signature
        """Go on, or raise what the trigger came to know."""
        if event.get("refused"):
            raise AirflowFailException(event["refused"])
        if event.get("missing"):
            raise AirflowSensorTimeout(event["missing"])
        self.log.info("Ready for %s", self.model)


class ReadyTrigger(ServiceTrigger):
    """Asks until the service is ready and knows the model. Its event holds `missing`, `refused` or nothing."""

    def __init__(self, *, conn_id: str, model: str, pause_seconds: float, give_up_at: float) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.model = model
        self.pause_seconds = pause_seconds
        self.give_up_at = give_up_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How another triggerer makes the same one."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id, "model": self.model, "pause_seconds": self.pause_seconds, "give_up_at": self.give_up_at,
        }

    async def _event(self) -> dict[str, Any]:
        url, token = await find_async(self.conn_id)
        told = ""
        while True:
            try:
                missing = await _ask(AsyncTrainyardClient(url, token=token), self.model)
            except TrainyardError as error:
                return {"refused": f"{url}: {error}"}
            if not missing:
                return {}
            if (left := self.give_up_at - time.time()) <= 0:
                return {"missing": f"{url} is not ready: {missing}"}
            if missing != told:
                self.log.info("%s is not ready yet: %s", url, missing)
                told = missing
            await asyncio.sleep(min(self.pause_seconds, left))


async def _ask(client: AsyncTrainyardClient, model: str) -> str:
    """What is in the way; empty when nothing is. Raises what waiting cannot mend."""
    try:
        async with client:
            found = await client.ready()
            if found.get("ready"):
                await client.model(model)
                return ""
    except TrainyardError as error:
        if not may_pass(error):
            raise
        return str(error)
    return "; ".join(f"{part}: {problem}" for part, problem in found.get("problems", {}).items()) or "it does not say why"
