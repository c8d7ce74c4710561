"""The version that holds an alias, as MLflow has it: who it is, its model, its run, and what its data was like."""

from collections.abc import Callable
from typing import Any, TypeVar

import mlflow.artifacts
import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from trainyard.errors import TrackingUnavailable
from trainyard.registry.aliases import holder_if_any
from trainyard.registry.recorded import run_of
from trainyard.worker.champion import CannotScore
from trainyard.worker.patience import Patience

PAUSES_SECONDS = (1.0, 4.0)
"""A run need not fail because another run's files are gone, so it does not insist for long."""
T = TypeVar("T")


class NotHere(CannotScore):
    """A library that the model needs is not in this service, or in another version; another service may have it."""


class Holders:
    """Asks MLflow, patiently while it is away. What an MLflow that answers does not have is `CannotScore`, or None."""

    def __init__(
        self,
        client: MlflowClient,
        *,
        patience_seconds: float,
        answers: Callable[[], bool],
        say: Callable[[str], object],
        own: str | None = None,
    ) -> None:
        """`own`: the run that asks. What it has registered and promoted itself, before it was killed, is nobody to be judged."""
        self._client = client
        self._own = own
        self._patience_seconds = patience_seconds
        self._answers = answers
        self._files: dict[str, str] = {}
        self._patiently = Patience(
            away_seconds=patience_seconds, answers=answers, say=say, pauses=PAUSES_SECONDS
        )

    def saying(self, say: Callable[[str], object]) -> "Holders":
        """The same for a process that tells people in another way."""
        return Holders(
            self._client,
            patience_seconds=self._patience_seconds,
            answers=self._answers,
            say=say,
            own=self._own,
        )

    def holder(self, name: str, alias: str) -> ModelVersion | None:
        """The version that holds the alias; None where none does, or there is no such registered model."""
        return self._patiently(
            lambda: self._holder(name, alias),
            f"MLflow answers, but does not tell who holds {alias!r} of {name!r}",
        )

    def fetch(self, name: str, alias: str) -> ModelVersion | None:
        """As `holder`, with the files of its model; tried once. Raises whatever fails."""
        version = self._holder(name, alias)
        if version is not None:
            self.files(version)
        return version

    def _holder(self, name: str, alias: str) -> ModelVersion | None:
        version = holder_if_any(self._client, name, alias)
        is_own = version is not None and self._own is not None and version.run_id == self._own
        return None if is_own else version

    def files(self, version: ModelVersion) -> str:
        """The folder with its model's files, fetched once. Raises whatever fails."""
        uri = f"models:/{version.name}/{version.version}"
        if uri not in self._files:
            self._files[uri] = mlflow.artifacts.download_artifacts(uri)
        return self._files[uri]

    def model(self, version: ModelVersion) -> Any:
        """Its model, by `mlflow.pyfunc`. Raises `CannotScore`, in words, and `TrackingUnavailable`."""
        try:
            return self._asked(
                lambda: mlflow.pyfunc.load_model(self.files(version), suppress_warnings=True),
                "it does not load",
            )
        except (CannotScore, TrackingUnavailable):
            raise
        except ModuleNotFoundError as error:
            raise NotHere(f"this service does not have {error.name!r}, which it needs") from error
        except Exception as error:  # whatever its code or its files raise
            kind = NotHere if _lacks_a_library(error) else CannotScore
            raise kind(f"it does not load ({type(error).__name__}: {error})") from error

    def run(self, version: ModelVersion) -> Run | None:
        """The run that made it; None where that is gone."""
        return self._patiently(
            lambda: run_of(self._client, version),
            f"MLflow answers, but does not show the run of version {version.version}",
        )

    def profile(self, run: Run) -> dict[str, Any]:
        """The run's `data_profile.json`; empty where there is none, or none that can be read."""
        # By its address: asked for by the run's id, MLflow would be asked for the run twice more, and for its models.
        address = f"{run.info.artifact_uri}/data_profile.json"
        try:
            found = self._asked(
                lambda: mlflow.artifacts.load_dict(address), f"the files of run {run.info.run_id}"
            )
        except TrackingUnavailable:
            raise
        except Exception:  # noqa: BLE001 - it is gone, or is no JSON: nothing can be told from it
            return {}
        return found if isinstance(found, dict) else {}

    def _asked(self, call: Callable[[], T], refusal: str) -> T:
        """Raises `CannotScore` where MLflow answers and this fails again and again."""
        try:
            return self._patiently(call, refusal)
        except TrackingUnavailable as error:
            if self._answers():
                raise CannotScore(error.detail) from error
            raise


def _lacks_a_library(error: BaseException | None) -> bool:
    """Whether an import failed below: MLflow wraps what code raises that comes with a model."""
    while error is not None and not isinstance(error, ImportError):
        error = error.__cause__ or error.__context__
    return error is not None
