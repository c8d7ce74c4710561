"""The few calls of MLflow's registry that promotion needs, over its REST API: Airflow's environment has no MLflow."""

import math
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from trainyard.airflow.connection import Address

API = "/api/2.0/mlflow"
ARTIFACTS = "mlflow-artifacts:/"
SECONDS = 30.0


class MlflowRefused(Exception):
    """MLflow does not answer, or refuses."""


@dataclass(frozen=True)
class Version:
    """A version of a registered model, and what its run measured."""

    number: str
    tags: dict[str, str]
    metrics: dict[str, float]
    run_tags: dict[str, str]


class Registry:
    """One registered model in MLflow's registry."""

    def __init__(self, mlflow: Address, name: str) -> None:
        headers = {"Authorization": f"Bearer {mlflow.token}"} if mlflow.token else {}
        self._http = httpx.Client(base_url=mlflow.url, headers=headers, timeout=SECONDS)
        self._name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def holder(self, alias: str) -> str | None:
        """The version that holds the alias."""
        found = self._model().get("aliases", [])
        return next((str(each["version"]) for each in found if each["alias"] == alias), None)

    def required_holder(self, alias: str) -> str:
        """The version that holds the alias, which there has to be."""
        found = self.holder(alias)
        if found is None:
            message = f"no version of {self._name} is {alias!r} yet"
            raise MlflowRefused(message)
        return found

    def requirements(self, number: str) -> str:
        """The `requirements.txt` of a version's model, from the artifacts that MLflow's server keeps."""
        uri = self._ask("GET", "model-versions/get-download-uri", name=self._name, version=number)["artifact_uri"]
        if not uri.startswith(ARTIFACTS):
            message = f"the files of {self._name} version {number} are at {uri}, which MLflow's server does not hand out"
            raise MlflowRefused(message)
        return self._send("GET", f"/api/2.0/mlflow-artifacts/artifacts/{uri.removeprefix(ARTIFACTS).lstrip('/')}/requirements.txt").text

    def version(self, number: str) -> Version:
        """A version, with its run's last metrics and tags where the run is still there."""
        found = self._ask("GET", "model-versions/get", name=self._name, version=number)["model_version"]
        data = self._ask("GET", "runs/get", run_id=found["run_id"])["run"]["data"] if found.get("run_id") else {}
        metrics = {each["key"]: float(each["value"]) for each in data.get("metrics", [])}
        known = {name: value for name, value in metrics.items() if not math.isnan(value)}
        return Version(number, _tags(found), known, _tags(data))

    def tag(self, key: str) -> str | None:
        """A tag of the registered model."""
        return _tags(self._model()).get(key)

    def set_tag(self, key: str, value: str) -> None:
        """Tag the registered model."""
        self._ask("POST", "registered-models/set-tag", name=self._name, key=key, value=value)

    def set_version_tag(self, number: str, key: str, value: str) -> None:
        """Tag a version."""
        self._ask("POST", "model-versions/set-tag", name=self._name, version=number, key=key, value=value)

    def set_alias(self, alias: str, number: str) -> None:
        """Give the alias to a version."""
        self._ask("POST", "registered-models/alias", name=self._name, alias=alias, version=number)

    def _model(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("GET", "registered-models/get", name=self._name)["registered_model"]
        return found

    def _ask(self, method: str, call: str, **fields: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._send(method, f"{API}/{call}", **{"params" if method == "GET" else "json": fields}).json()
        return answer

    def _send(self, method: str, path: str, **sent: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **sent).raise_for_status()
        except httpx.HTTPStatusError as error:
            message = f"MLflow refused {path}: {error.response.status_code} {error.response.text[:500]}"
            raise MlflowRefused(message) from error
        except httpx.HTTPError as error:
            message = f"MLflow at {self._http.base_url} does not answer {path}: {error or type(error).__name__}"
            raise MlflowRefused(message) from error


def _tags(holder: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: each.get("value", "") for each in holder.get("tags", [])}
