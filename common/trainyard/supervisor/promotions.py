"""Promotions that somebody asks for after the run has ended: the gate of a pipeline, or a person."""

from functools import partial
from pathlib import Path

from mlflow import MlflowClient

from trainyard.contract import Promotion, Registered, Run, RunStatus
from trainyard.errors import CannotPromote, RegistryConflict
from trainyard.registry.asked import promote_when_asked
from trainyard.supervisor.blocking import Blocking


class Promotions:
    """Decides in a thread, in turn with the runs of all services that share the folder of locks."""

    def __init__(self, blocking: Blocking, *, tracking_uri: str, locks: Path) -> None:
        self._blocking = blocking
        self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        self._locks = locks

    async def promote(self, run: Run, word: Promotion) -> Registered:
        """The run's version as it stands after the decision. Raises `RequestError`s."""
        if run.status is not RunStatus.FINISHED:
            raise CannotPromote(
                f"the run {run.run_id} is {run.status}; one that is FINISHED can be promoted"
            )
        if run.registered is None:
            raise CannotPromote(
                f"the run {run.run_id} registered no model; name one in `register` of its request"
            )
        decided = partial(
            promote_when_asked,
            self._client,
            name=run.registered.name,
            version=run.registered.version,
            word=word,
            locks=self._locks,
        )
        try:
            return await self._blocking.mlflow(decided)
        except RegistryConflict as error:
            raise CannotPromote(error.detail) from error
