"""What asks MLflow about models and runs for somebody who waits, outside a run."""

from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from trainyard.tracking.availability import is_away
from trainyard.worker.holders import Holders

AWAY_SECONDS = 10.0
"""How long MLflow is waited for: somebody waits for the answer."""


class Unlogged:
    """What a judging says, where it is not a run's: to the service's own log, and not to MLflow."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def say(self, message: str) -> object:
        """Print it."""
        print(message, flush=True)  # noqa: T201 - the service's log
        return None

    def champion(self, version: str, metrics: Mapping[str, float]) -> None:
        """Nothing: the run stays as it ended."""

    def drift(self, max_psi: float) -> None:
        """Nothing, likewise."""

    def holders(self) -> Holders:
        """What asks MLflow about runs and models."""
        return Holders(
            self._client, patience_seconds=AWAY_SECONDS, answers=self._answers, say=self.say
        )

    def _answers(self) -> bool:
        try:
            self._client.search_experiments(max_results=1)
        except MlflowException as error:
            return not is_away(error)
        return True
