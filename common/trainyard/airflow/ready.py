"""Waiting for a service to be ready for a model, before anything else of a pipeline starts."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout
from tenacity import wait_fixed

from trainyard.airflow.connection import find, find_async
from trainyard.airflow.trigger import ServiceTrigger
from trainyard.airflow.waiting import Told
from trainyard.client import AsyncTrainyardClient, Unreachable, may_pass
from trainyard.client.patience import Patience
from trainyard.errors import TrainyardError


class NotReady(Unreachable):
    """The service answers, and does not take trainings yet."""


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
        self,
        *,
        conn_id: str,
        model: str,
        deferrable: bool = True,
        poke_interval: float = 5.0,
        timeout: float = 600.0,
        **kwargs: Any,
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
                conn_id=self.conn_id,
                model=self.model,
                pause_seconds=self.poke_interval,
                give_up_at=time.time() + self.timeout,
            )
            self.defer(trigger=trigger, method_name="found")
        return None

    def poke(self, context: Any) -> bool:  # noqa: ARG002 - Airflow's signature
        """Whether the service is ready. Raises `AirflowFailException` for what waiting cannot mend."""
        url, token = find(self.conn_id)
        try:
            asyncio.run(_ask(AsyncTrainyardClient(url, token=token), self.model))
        except TrainyardError as error:
            if not may_pass(error):
                raise AirflowFailException(f"{url}: {error}") from error
            self.log.info("%s: %s", url, error)
            return False
        self.log.info("%s: ready for %s", url, self.model)
        return True

    def found(self, context: Any, event: dict[str, Any]) -> None:  # noqa: ARG002 - Airflow's signature
        """Go on, or raise what the trigger came to know."""
        if event.get("refused"):
            raise AirflowFailException(event["refused"])
        if event.get("missing"):
            raise AirflowSensorTimeout(event["missing"])
        self.log.info("Ready for %s", self.model)


class ReadyTrigger(ServiceTrigger):
    """Asks until the service is ready and knows the model. Its event holds `missing`, `refused` or nothing."""

    def __init__(
        self, *, conn_id: str, model: str, pause_seconds: float, give_up_at: float
    ) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.model = model
        self.pause_seconds = pause_seconds
        self.give_up_at = give_up_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How another triggerer makes the same one."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id,
            "model": self.model,
            "pause_seconds": self.pause_seconds,
            "give_up_at": self.give_up_at,
        }

    async def _event(self) -> dict[str, Any]:
        url, token = await find_async(self.conn_id)
        patience = Patience(
            deadline=self.give_up_at,
            pause=wait_fixed(self.pause_seconds),
            on_away=Told(self._say).away,
        )

        async def ask() -> None:
            await _ask(AsyncTrainyardClient(url, token=token), self.model)

        try:
            await patience.call_async(ask)
        except TrainyardError as error:
            if may_pass(error):
                return {"missing": f"{url} is not ready: {error}"}
            return {"refused": f"{url}: {error}"}
        return {}


async def _ask(client: AsyncTrainyardClient, model: str) -> None:
    """Return if the service is ready and knows the model. Raises `NotReady` with what is in the way."""
    async with client:
        found = await client.ready()
        if not found.get("ready"):
            problems = found.get("problems", {}).items()
            said = "; ".join(f"{part}: {problem}" for part, problem in problems)
            raise NotReady(said or "it is not ready, and does not say why")
        await client.model(model)
