"""Waiting for a service to be ready for a model, before anything else of a pipeline starts."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from trainyard.airflow.connection import find_async
from trainyard.airflow.waiting import may_pass
from trainyard.client import AsyncTrainyardClient
from trainyard.errors import TrainyardError, UnknownModel

PAUSE_SECONDS = 5.0


class ServiceReadySensor(BaseOperator):
    """Waits until the service takes trainings and knows the model, holding no worker slot.

    A model that a ready service does not train fails at once; a service that is not ready after `patience_seconds`
    fails with what is in its way.

    :param conn_id: The HTTP connection of the service; its password is the service's token. (templated)
    :param model: One of the service's models. (templated)
    :param patience_seconds: How long to wait.
    """

    template_fields: Sequence[str] = ("conn_id", "model")

    def __init__(self, *, conn_id: str, model: str, patience_seconds: float = 600.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.model = model
        self.patience_seconds = patience_seconds

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow's signature
        """Wait in the triggerer."""
        trigger = ReadyTrigger(conn_id=self.conn_id, model=self.model, give_up_at=time.time() + self.patience_seconds)
        self.defer(trigger=trigger, method_name="found")

    def found(self, context: Any, event: dict[str, Any]) -> None:  # noqa: ARG002 - Airflow's signature
        """Go on, or raise what the trigger came to know."""
        if event.get("refused"):
            raise AirflowFailException(event["refused"])
        if event.get("error"):
            raise AirflowException(event["error"])
        self.log.info("Ready for %s", self.model)


class ReadyTrigger(BaseTrigger):
    """Asks until the service is ready and knows the model. Its event holds `error`, `refused` or nothing."""

    def __init__(self, *, conn_id: str, model: str, give_up_at: float) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.model = model
        self.give_up_at = give_up_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How another triggerer makes the same one."""
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return name, {"conn_id": self.conn_id, "model": self.model, "give_up_at": self.give_up_at}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        url, token = await find_async(self.conn_id)
        async with AsyncTrainyardClient(url, token=token) as client:
            yield TriggerEvent(await self._event(client))

    async def _event(self, client: AsyncTrainyardClient) -> dict[str, Any]:
        told = ""
        while True:
            try:
                missing = await self._missing(client)
            except UnknownModel as error:
                return {"refused": str(error)}
            except TrainyardError as error:
                if not may_pass(error):
                    return {"refused": str(error)}
                missing = str(error)
            if not missing:
                return {}
            if time.time() >= self.give_up_at:
                return {"error": f"{client.url} is not ready: {missing}"}
            if missing != told:
                self.log.info("%s is not ready yet: %s", client.url, missing)
                told = missing
            await asyncio.sleep(min(PAUSE_SECONDS, max(0.0, self.give_up_at - time.time())))

    async def _missing(self, client: AsyncTrainyardClient) -> str:
        found = await client.ready()
        if found.get("ready"):
            await client.model(self.model)
            return ""
        return "; ".join(f"{part}: {problem}" for part, problem in found.get("problems", {}).items()) or "it does not say why"
