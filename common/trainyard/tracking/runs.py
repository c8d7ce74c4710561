"""The service's side of MLflow: making runs, moving their status, closing them, reading them back.

Only `MlflowClient`, never the fluent API: its active run belongs to a thread, and here many runs share some.
Every method blocks; the supervisor calls them from a thread. Errors pass as MLflow raises them;
`availability.is_away` tells the ones that mean "not now".
"""

import hashlib
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import structlog
from mlflow.entities import Experiment, Metric, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.entities import RunStatus as MlflowStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.credentials import get_default_host_creds

from trainyard.contract import (
    DataVersion,
    Direction,
    Links,
    ModelVersionInfo,
    Phase,
    RegisteredModelPage,
    Run,
    RunKind,
    RunPage,
    RunRequest,
    RunStatus,
    ScoreRequest,
    Task,
    Trial,
    TrialPage,
    version_from,
)
from trainyard.errors import Invalid
from trainyard.registry.listing import as_model, models_page, versions_of
from trainyard.registry.model_uris import resolved
from trainyard.tracking.availability import is_away, mlflows_own
from trainyard.tracking.earlier_searches import with_the_best
from trainyard.tracking.kept import OUTCOME, Kept
from trainyard.tracking.logged_models import finished_model
from trainyard.tracking.page_end import PageEnd
from trainyard.tracking.searching import QuickClient
from trainyard.tracking.trials import END, NUMBER, PARENT, best_so_far, find_trials, value_of

INSTANCE = "trainyard.instance"
UID = "trainyard.instance_uid"
"""The uid of the work directory that holds the run's folder."""
SUBMISSION = "trainyard.submission"
KEY_DIGEST = "trainyard.key_digest"
REQUEST_DIGEST = "trainyard.request_digest"
KIND = "trainyard.kind"
SUBMITTED_BY, TEAM = "trainyard.submitted_by", "trainyard.team"
DATA_VERSION = "trainyard.data_version"
WORKERS = "trainyard.workers"
USED = "system/usage_"
"""What the metrics of a run's usage begin with."""
log = structlog.get_logger()


class Unended(NamedTuple):
    """A run that MLflow does not show as ended."""

    run: Run
    submission: str | None
    """The tag of the submit that made it."""
    begun: bool
    """Whether MLflow was told anything of it after it was made, as happens only to a run that was accepted."""


class Tracking:
    """One MLflow server, as one service instance uses it."""

    def __init__(self, *, uri: str, ui_url: str, instance: str) -> None:
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "10"
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        self._ui_url = ui_url.rstrip("/")
        self._instance = instance
        self.uid = ""
        """That of the instance's work directory, which is known once the directory is taken."""
        self._client = QuickClient(tracking_uri=uri, registry_uri=uri)
        self._store = RestStore(partial(get_default_host_creds, uri))
        self._experiments: dict[str, str] = {}
        self._web = httpx.Client(
            base_url=uri, timeout=2.0, limits=httpx.Limits(max_keepalive_connections=0)
        )
        """Made once, because it reads the system's certificates; a connection for each question, so that none is stale."""

    def answers(self) -> bool:
        """Whether the server says it is healthy, within two seconds."""
        try:
            return self._web.get("/health").is_success
        except httpx.HTTPError:
            return False

    def experiment_id(self, name: str) -> str:
        """The experiment's id, made if need be. Raises `Invalid` for a deleted one."""
        known = self._experiments.get(name)
        if known is None:
            found = self._client.get_experiment_by_name(name) or self._made_experiment(name)
            if found.lifecycle_stage == "deleted":
                raise Invalid.field(
                    "/experiment", f"{name!r} was deleted in MLflow; restore it or use another"
                )
            known = self._experiments[name] = found.experiment_id
        return known

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

    def create(
        self, *, experiment_id: str, run_name: str | None, tags: dict[str, str]
    ) -> MlflowRun:
        """A new MLflow run of this instance. MLflow makes it RUNNING."""
        own = {INSTANCE: self._instance, UID: self.uid, "mlflow.user": "trainyard", **tags}
        return self._client.create_run(experiment_id, tags=own, run_name=run_name)

    def set_status(self, run_id: str, status: RunStatus) -> None:
        """Move a run that has not ended. In one call: the client's own way asks for the run first."""
        self._store.update_run_info(run_id, MlflowStatus.from_string(str(status)), None, None)

    def close(self, run: Run) -> None:
        """Write how the run ended: a tag that holds all of it, what it used as metrics, then the status, also where MLflow refuses these."""
        with mlflows_own():
            self._close(run)

    def _close(self, run: Run) -> None:
        tags = [RunTag(OUTCOME, Kept.of(run).as_tag())]
        if run.reason:
            tags.append(RunTag("trainyard.reason", str(run.reason)))
        try:
            with mlflows_own():
                self._client.log_batch(run.run_id, tags=tags, metrics=_used(run))
        except MlflowException as error:
            if is_away(error):
                raise
            log.exception("MLflow refuses what it is told of a run's end", run_id=run.run_id)
        ended = int(run.ended_at.timestamp() * 1000) if run.ended_at else None
        self._client.set_terminated(run.run_id, str(run.status), ended)
        if any(step.phase is Phase.SEARCHING for step in run.transitions):
            self._end_trials(run)
        if run.status is not RunStatus.FINISHED:
            try:
                self._drop_unfinished_models(run)
            except MlflowException as error:
                if is_away(error):
                    raise
                log.warning(
                    "a model that was half logged stays in MLflow",
                    run_id=run.run_id,
                    exc_info=error,
                )

    def _drop_unfinished_models(self, run: Run) -> None:
        """A model that was being logged when its process ended stays pending for ever in MLflow."""
        if any(step.phase is Phase.LOGGING_MODEL for step in run.transitions):
            finished_model(self._client, experiment_id=run.experiment_id, run_id=run.run_id)

    def _end_trials(self, run: Run) -> None:
        """A trial whose process was killed while MLflow was told of it."""
        condition = f"tags.`{PARENT}` = '{run.run_id}' and attributes.status = 'RUNNING'"
        for each in self._client.search_runs([run.experiment_id], condition, max_results=1000):
            self._client.set_tag(each.info.run_id, END, "ended with its run")
            self._client.set_terminated(each.info.run_id, str(RunStatus.KILLED))

    def upload(self, run_id: str, file: Path) -> None:
        """Store a file, or a folder, as an artifact of the run."""
        self._client.log_artifact(run_id, str(file))

    def status(self, run_id: str) -> RunStatus | None:
        """The status MLflow shows; None where the run was deleted."""
        try:
            with mlflows_own():
                info = self._client.get_run(run_id).info
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return None
            raise
        return RunStatus(info.status) if info.lifecycle_stage == "active" else None

    def discard(self, run_id: str) -> None:
        """Fail and delete a run that was made for a submit that was not accepted. Its key no longer finds it."""
        tags = [RunTag("trainyard.reason", "never_accepted"), RunTag(KEY_DIGEST, "")]
        self._client.log_batch(run_id, tags=tags)
        self._client.set_terminated(run_id, str(RunStatus.FAILED))
        self._client.delete_run(run_id)

    def unended(self, uids: Iterable[str]) -> list[Unended]:
        """The runs of these work directories that MLflow shows as SCHEDULED or RUNNING.

        A run without a uid was made by a version of Trainyard that wrote none, and counts as ours.
        """
        return [
            Unended(self._as_run(each), each.data.tags.get(SUBMISSION), _begun(each))
            for status in (RunStatus.SCHEDULED, RunStatus.RUNNING)
            for each in self._every(f"attributes.status = '{status}'")
            if each.data.tags.get(UID, "") in ("", *uids)
        ]

    def ended_with_key(self, key_digest: str) -> tuple[Run, str] | None:
        """The newest ended run of an Idempotency-Key, and the digest of its request."""
        for each in self._search(f"tags.`{KEY_DIGEST}` = '{key_digest}'", limit=20):
            run = self._as_run(each)
            if run.status.ended:
                return run, str(each.data.tags.get(REQUEST_DIGEST, ""))
        return None

    def read(self, run_id: str) -> Run | None:
        """A run of this instance as MLflow holds it; None for any other."""
        with mlflows_own():
            found = self._client.get_run(run_id)
        return self._as_run(found) if found.data.tags.get(INSTANCE) == self._instance else None

    def search(self, condition: str, *, limit: int, cursor: str | None = None) -> RunPage:
        """This instance's runs that meet MLflow's filter, newest first. Raises `Invalid` for a strange cursor."""
        before = _page_end(cursor) if cursor else PageEnd()
        page, after = before.next_page(partial(self._search, condition), limit)
        return RunPage(
            runs=[self._as_run(each) for each in page],
            cursor=_cursor(str(after)) if after else None,
        )

    def _search(
        self, *conditions: str, limit: int, token: str | None = None
    ) -> PagedList[MlflowRun]:
        own = f"tags.`{INSTANCE}` = '{self._instance}'"
        return self._client.search_runs(
            self._every_experiment(),
            " and ".join(filter(None, (own, *conditions))),
            max_results=limit,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )

    def _every(self, condition: str) -> Iterator[MlflowRun]:
        token: str | None = None
        while True:
            page = self._search(condition, limit=200, token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _every_experiment(self) -> list[str]:
        found: list[str] = []
        token: str | None = None
        while True:
            page = self._client.search_experiments(page_token=token)
            found += [each.experiment_id for each in page]
            token = page.token
            if not token:
                return found

    def log_text(self, run_id: str) -> str:
        """A run's training.log, as it was uploaded."""
        with tempfile.TemporaryDirectory() as folder:
            return Path(self._client.download_artifacts(run_id, "training.log", folder)).read_text(
                errors="replace"
            )

    def history(self, run_id: str, names: Iterable[str]) -> dict[str, list[tuple[int, float]]]:
        """What the run measured round by round: steps and values of each of these metrics."""
        return {
            name: [
                (each.step, each.value) for each in self._client.get_metric_history(run_id, name)
            ]
            for name in names
        }

    def trials(
        self, run: Run, direction: Direction, *, limit: int, cursor: str | None
    ) -> TrialPage:
        """A page of the run's trials, the best first. Raises `Invalid` for a strange cursor."""
        metric = best_so_far(run)
        found = find_trials(
            self._client,
            run,
            best_first=(metric, direction) if metric else None,
            limit=limit,
            token=_token(cursor) if cursor else None,
        )
        return TrialPage(
            metric=metric,
            trials=[self._as_trial(each, metric) for each in found],
            cursor=_cursor(found.token) if found.token else None,
        )

    def registered_models(self, cursor: str | None) -> RegisteredModelPage:
        """A page of the registered models, by name. Raises `Invalid` for a strange cursor."""
        found = models_page(self._client, _token(cursor) if cursor else None)
        return RegisteredModelPage(
            models=[as_model(each) for each in found],
            cursor=_cursor(found.token) if found.token else None,
        )

    def model_versions(self, name: str) -> list[ModelVersionInfo]:
        """The newest versions of a registered model."""
        return versions_of(self._client, name)

    def submission_json(self, run_id: str) -> str | None:
        """The run's `request.json`, as it was published; None where there is none any more."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self._client.download_artifacts(run_id, "request.json", folder)
            except MlflowException as error:
                if is_away(error):
                    raise
                return None
            return Path(path).read_text()

    def resolved(self, request: RunRequest, task: Task | None) -> RunRequest:
        """The request with what its `model_uri` or its search's `warm_start` means now. Raises `Invalid` where MLflow has none."""
        if isinstance(request, ScoreRequest):
            return resolved(self._client, request)
        return with_the_best(self._client, request, task) if task else request

    def link(self, experiment_id: str, run_id: str) -> str:
        """The run's page in MLflow."""
        return f"{self._ui_url}/#/experiments/{experiment_id}/runs/{run_id}"

    def _as_trial(self, found: MlflowRun, metric: str | None) -> Trial:
        tags, info = found.data.tags, found.info
        return Trial(
            number=int(tags[NUMBER]),
            end=tags.get(END, ""),
            value=value_of(found, metric),
            params=found.data.params,
            seconds=((info.end_time or info.start_time) - info.start_time) / 1000,
            mlflow=self.link(info.experiment_id, info.run_id),
        )

    def _as_run(self, found: MlflowRun) -> Run:
        tags, info = found.data.tags, found.info
        kept = Kept.read(tags)
        return Run(
            run_id=info.run_id,
            kind=_kind(tags),
            status=RunStatus(info.status),
            reason=kept.reason,
            message=kept.message,
            retryable=kept.reason.retryable if kept.reason else None,
            version=kept.version,
            model=tags.get("trainyard.model", ""),
            service=self._instance,
            experiment=tags.get("trainyard.experiment", ""),
            experiment_id=info.experiment_id,
            run_name=info.run_name or "",
            attempt=kept.attempt,
            workers=kept.workers,
            progress=kept.progress,
            data_version=_data_version(tags),
            metrics=_own(found.data.metrics) if kept.metrics is None else kept.metrics,
            model_uri=kept.model_uri,
            registered=kept.registered,
            searched=kept.searched,
            warnings=kept.warnings,
            usage=kept.usage,
            placement=kept.placement,
            priority=kept.priority,
            submitted_by=tags.get(SUBMITTED_BY),
            team=tags.get(TEAM),
            submitted_at=kept.submitted_at or _time(info.start_time),
            started_at=kept.started_at,
            ended_at=kept.ended_at or (_time(info.end_time) if info.end_time else None),
            transitions=kept.transitions,
            links=Links(
                self=f"/train/{info.run_id}",
                logs=f"/train/{info.run_id}/logs",
                mlflow=self.link(info.experiment_id, info.run_id),
            ),
        )


def _kind(tags: Mapping[str, str]) -> RunKind:
    """As `Kept.read`: a tag that somebody changed counts as not there."""
    try:
        return RunKind(tags.get(KIND, RunKind.TRAIN))
    except ValueError:
        return RunKind.TRAIN


def _data_version(tags: Mapping[str, str]) -> DataVersion | None:
    try:
        return version_from(tags[DATA_VERSION])
    except (KeyError, ValueError):
        return None


def _begun(run: MlflowRun) -> bool:
    waits = RunStatus(run.info.status) is RunStatus.SCHEDULED
    return waits or bool(run.data.params or run.data.metrics)


def _used(run: Run) -> list[Metric]:
    """Beside MLflow's own system metrics, so that runs can be sorted by what they cost."""
    if run.usage is None or run.ended_at is None:
        return []
    at = int(run.ended_at.timestamp() * 1000)
    return [
        Metric(f"{USED}{name}", value, at, 0)
        for name, value in run.usage.model_dump(exclude_none=True).items()
    ]


def _own(metrics: dict[str, float]) -> dict[str, float]:
    """What the run measured, and not what MLflow did of the machine."""
    return {
        name: value
        for name, value in metrics.items()
        if math.isfinite(value) and not name.startswith("system/")
    }


def _cursor(token: str) -> str:
    """A page's end or MLflow's page token, sealed: MLflow answers a token that is none of its own with a server error."""
    return f"{hashlib.sha256(token.encode()).hexdigest()[:12]}.{token}"


def _token(cursor: str) -> str:
    token = cursor.partition(".")[2]
    if not token or _cursor(token) != cursor:
        raise no_cursor(cursor)
    return token


def _page_end(cursor: str) -> PageEnd:
    try:
        return PageEnd.read(_token(cursor))
    except ValueError as error:  # one of another list
        raise no_cursor(cursor) from error


def no_cursor(cursor: str | None) -> Invalid:
    """The refusal of a cursor that was never given out."""
    return Invalid.field("/query/cursor", f"{cursor!r} is no cursor that this service gave out")


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
