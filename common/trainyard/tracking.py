"""The service's side of MLflow: making runs, moving their status, closing them, reading them back.

Only `MlflowClient`, never the fluent API: its active run belongs to a thread, and here many runs share some.
Every method blocks; the supervisor calls them from a thread. Errors pass as MLflow raises them;
`buffering.is_away` tells the ones that mean "not now".
"""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import httpx
from mlflow import MlflowClient
from mlflow.entities import Experiment, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode
from pydantic import BaseModel, Field, ValidationError

from trainyard.contract import (
    Links,
    Progress,
    Reason,
    Registered,
    Run,
    RunPage,
    RunStatus,
    Transition,
)
from trainyard.errors import Invalid
from trainyard.folder import Outcome

TAG_LIMIT = 5000


class Tracking:
    """One MLflow server, as one service instance uses it."""

    def __init__(self, *, uri: str, ui_url: str, instance: str) -> None:
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "10"
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        self._uri = uri
        self._ui_url = ui_url.rstrip("/")
        self._instance = instance
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._experiments: dict[str, str] = {}

    def answers(self) -> bool:
        """Whether the server says it is healthy, within two seconds."""
        try:
            return httpx.get(f"{self._uri}/health", timeout=2.0).is_success
        except httpx.HTTPError:
            return False

    def experiment_id(self, name: str) -> str:
        """The experiment's id, made if need be. Raises `Invalid` for a deleted one."""
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name) or self._made_experiment(name)
            if found.lifecycle_stage == "deleted":
                raise Invalid.field("/experiment", f"{name!r} was deleted in MLflow; restore it or use another")
            self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _made_experiment(self, name: str) -> Experiment:
        """A new experiment, or the one that another request or another service made at the same moment."""
        try:
            return self._client.get_experiment(self._client.create_experiment(name))
        except MlflowException as error:
            exists = error.error_code == ErrorCode.Name(RESOURCE_ALREADY_EXISTS)
            if not exists or (found := self._client.get_experiment_by_name(name)) is None:
                raise
            return found

    def forget_experiments(self) -> None:
        """Look experiments up again: one of them may have been deleted."""
        self._experiments.clear()

    def create(self, *, experiment_id: str, run_name: str | None, tags: dict[str, str]) -> MlflowRun:
        """A new MLflow run of this instance."""
        own = {"trainyard.instance": self._instance, "mlflow.user": "trainyard", **tags}
        return self._client.create_run(experiment_id, tags=own, run_name=run_name)

    def set_status(self, run_id: str, status: RunStatus) -> None:
        """Move a run that has not ended."""
        self._client.update_run(run_id, status=str(status))

    def close(self, run: Run, outcome: Outcome, *, files: tuple[Path, ...]) -> None:
        """Write how the run ended: files the run could not upload itself, a tag, the status last."""
        for path in files:
            if path.exists():
                self._client.log_artifact(run.run_id, str(path))
        tags = [RunTag("trainyard.outcome", Kept.of(run).as_tag())]
        if run.reason:
            tags.append(RunTag("trainyard.reason", str(run.reason)))
        self._client.log_batch(run.run_id, tags=tags)
        self._client.set_terminated(run.run_id, str(outcome.status), int(outcome.ended_at.timestamp() * 1000))

    def status(self, run_id: str) -> RunStatus | None:
        """The status MLflow shows; None where the run was deleted."""
        try:
            info = self._client.get_run(run_id).info
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return None
            raise
        return RunStatus(info.status) if info.lifecycle_stage == "active" else None

    def discard(self, submission_tag: str) -> None:
        """Fail and delete what a submit that was not accepted left behind: the answer to `create` may have been lost."""
        for run in self.search(f"tags.`trainyard.submission` = '{submission_tag}'", limit=10).runs:
            self._client.log_batch(run.run_id, tags=[RunTag("trainyard.reason", "never_accepted")])
            self._client.set_terminated(run.run_id, str(RunStatus.FAILED))
            self._client.delete_run(run.run_id)

    def read(self, run_id: str) -> Run | None:
        """A run of this instance as MLflow holds it; None for any other."""
        found = self._client.get_run(run_id)
        return self._as_run(found) if found.data.tags.get("trainyard.instance") == self._instance else None

    def search(self, condition: str, *, limit: int, cursor: str | None = None) -> RunPage:
        """This instance's runs that meet MLflow's filter, newest first. Raises `Invalid` for a strange cursor."""
        experiments = self._every_experiment()
        own = f"tags.`trainyard.instance` = '{self._instance}'"
        found = self._client.search_runs(
            experiments, " and ".join(filter(None, (own, condition))), max_results=limit,
            order_by=["attributes.start_time DESC"], page_token=_token(cursor) if cursor else None,
        )
        return RunPage(runs=[self._as_run(each) for each in found], cursor=_cursor(found.token) if found.token else None)

    def _every_experiment(self) -> list[str]:
        found: list[str] = []
        token: str | None = None
        while True:
            page = self._client.search_experiments(page_token=token)
            found += [each.experiment_id for each in page]
            token = page.token
            if not token:
                return found

    def digest(self, run_id: str) -> str:
        """The digest of the request that a run was made for."""
        return str(self._client.get_run(run_id).data.tags.get("trainyard.request_digest", ""))

    def log_text(self, run_id: str) -> str:
        """A run's training.log, as it was uploaded."""
        with tempfile.TemporaryDirectory() as folder:
            return Path(self._client.download_artifacts(run_id, "training.log", folder)).read_text(errors="replace")

    def link(self, experiment_id: str, run_id: str) -> str:
        """The run's page in MLflow."""
        return f"{self._ui_url}/#/experiments/{experiment_id}/runs/{run_id}"

    def _as_run(self, found: MlflowRun) -> Run:
        tags, info = found.data.tags, found.info
        kept = Kept.read(tags)
        return Run(
            run_id=info.run_id, status=RunStatus(info.status), reason=kept.reason, message=kept.message,
            retryable=kept.reason.retryable if kept.reason else None, version=kept.version,
            model=tags.get("trainyard.model", ""), service=self._instance,
            experiment=tags.get("trainyard.experiment", ""), experiment_id=info.experiment_id,
            run_name=info.run_name or "", attempt=kept.attempt, progress=kept.progress,
            metrics=_own(found.data.metrics) if kept.metrics is None else kept.metrics,
            model_uri=kept.model_uri, registered=kept.registered,
            submitted_at=kept.submitted_at or _time(info.start_time), started_at=kept.started_at,
            ended_at=kept.ended_at or (_time(info.end_time) if info.end_time else None), transitions=kept.transitions,
            links=Links(self=f"/train/{info.run_id}", logs=f"/train/{info.run_id}/logs", mlflow=self.link(info.experiment_id, info.run_id)),
        )


class Kept(BaseModel):
    """What MLflow has no field for of how a run ended, or keeps less exactly, as a tag of the run."""

    reason: Reason | None = None
    message: str | None = None
    model_uri: str | None = None
    registered: Registered | None = None
    attempt: int = 1
    version: int = 0
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: Progress | None = None
    metrics: dict[str, float] | None = None
    transitions: list[Transition] = Field(default_factory=list)

    @classmethod
    def of(cls, run: Run) -> Self:
        """Of a run that ended."""
        return cls(**{name: getattr(run, name) for name in cls.model_fields})

    @classmethod
    def read(cls, tags: dict[str, str]) -> Self:
        """From a run's tags. One that does not read, because somebody changed it in MLflow, counts as not there."""
        try:
            return cls.model_validate_json(tags.get("trainyard.outcome") or json.dumps({"attempt": tags.get("trainyard.attempt", 1)}))
        except ValidationError:
            return cls()

    def as_tag(self) -> str:
        """As much of it as fits: a long message is cut; the metrics go first, which MLflow has too, then the oldest transitions."""
        short = self.model_copy(update={"message": self.message and self.message[:1000]})
        while len(text := short.model_dump_json(exclude_none=True)) > TAG_LIMIT and (short.metrics or short.transitions):
            short = short.model_copy(update={"metrics": None} if short.metrics else {"transitions": short.transitions[1:]})
        return text


def _own(metrics: dict[str, float]) -> dict[str, float]:
    """What the run measured, and not what MLflow did of the machine."""
    return {name: value for name, value in metrics.items() if math.isfinite(value) and not name.startswith("system/")}


def _cursor(token: str) -> str:
    """MLflow's page token, sealed: it answers a token that is none of its own with a server error."""
    return f"{hashlib.sha256(token.encode()).hexdigest()[:12]}.{token}"


def _token(cursor: str) -> str:
    token = cursor.partition(".")[2]
    if not token or _cursor(token) != cursor:
        raise Invalid.field("/query/cursor", f"{cursor!r} is no cursor that this service gave out")
    return token


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def unended() -> Iterator[str]:
    """MLflow's conditions for runs that have not ended."""
    for status in (RunStatus.SCHEDULED, RunStatus.RUNNING):
        yield f"attributes.status = '{status}'"
