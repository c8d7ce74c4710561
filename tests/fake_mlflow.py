"""An MLflow server in memory, as `MlflowClient` shows it to `Tracking`: it can be away, slow, lossy, or refuse."""

import itertools
import re
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mlflow.entities import Experiment, Metric, RunData, RunInfo, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.entities import RunStatus as MlflowStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
)
from mlflow.store.entities.paged_list import PagedList
from trainyard.contract import RunStatus
from trainyard.tracking.runs import Tracking

T = TypeVar("T")
CONDITION = re.compile(r"(?:tags\.`([^`]+)`|attributes\.status) = '([^']*)'")
BEGAN = re.compile(r"attributes\.start_time <= (\d+)")


@dataclass
class Kept:
    """A run as the server keeps it."""

    run_id: str
    experiment_id: str
    name: str
    number: int
    tags: dict[str, str]
    statuses: list[RunStatus] = field(default_factory=lambda: [RunStatus.RUNNING])
    """Each status that it was given, in order."""
    end_time: int | None = None
    deleted: bool = False
    artifacts: dict[str, bytes] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def status(self) -> RunStatus:
        return self.statuses[-1]

    def entity(self) -> MlflowRun:
        info = RunInfo(
            run_id=self.run_id,
            experiment_id=self.experiment_id,
            user_id="trainyard",
            status=str(self.status),
            start_time=self.number,
            end_time=self.end_time,
            lifecycle_stage="deleted" if self.deleted else "active",
            artifact_uri=f"mlflow-artifacts:/{self.run_id}",
            run_name=self.name,
        )
        return MlflowRun(info, RunData(tags=[RunTag(*each) for each in self.tags.items()]))

    def meets(self, condition: str) -> bool:
        """Whether MLflow's filter lets it through."""
        for part in condition.split(" and "):
            if began := BEGAN.fullmatch(part):
                if self.number > int(began[1]):
                    return False
                continue
            found = CONDITION.fullmatch(part)
            assert found, f"the fake does not know {part!r}"
            tag, wanted = found.groups()
            if (self.tags.get(tag) if tag else str(self.status)) != wanted:
                return False
        return True


class FakeMlflow:
    """The server, and the client's methods that Trainyard calls."""

    def __init__(self) -> None:
        self.runs: dict[str, Kept] = {}
        self.experiments: dict[str, str] = {"Default": "0"}
        self.away = False
        self.answers_lost = 0
        """So many of the next calls are carried out, and their answers lost."""
        self.refuses: dict[str, MlflowException] = {}
        """By the name of a method, what it raises."""
        self.keeps_files = True
        """Where it does not, uploads are taken and no run leaves a log."""
        self.calls: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def active(self) -> list[Kept]:
        """The runs that were not deleted, oldest first."""
        return [run for run in self.runs.values() if not run.deleted]

    def _answer(self, name: str, work: Callable[[], T]) -> T:
        self.calls[name] += 1
        if self.away:
            raise does_not_answer()
        if name in self.refuses:
            raise self.refuses[name]
        result = work()
        if self.answers_lost:
            self.answers_lost -= 1
            raise does_not_answer()
        return result

    def _active(self, run_id: str) -> Kept:
        run = self._run(run_id)
        if run.deleted:
            message = f"The run {run_id} must be in the 'active' state."
            raise MlflowException(message, error_code=INVALID_PARAMETER_VALUE)
        return run

    def _run(self, run_id: str) -> Kept:
        if run_id not in self.runs:
            message = f"Run with id={run_id} not found"
            raise RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": message})
        return self.runs[run_id]

    # As MlflowClient has them

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        return self._answer(
            "get_experiment_by_name",
            lambda: _experiment(self.experiments[name], name) if name in self.experiments else None,
        )

    def create_experiment(self, name: str) -> str:
        def work() -> str:
            if name in self.experiments:
                message = f"Experiment {name} already exists"
                raise MlflowException(message, error_code=RESOURCE_ALREADY_EXISTS)
            return self.experiments.setdefault(name, str(len(self.experiments)))

        return self._answer("create_experiment", work)

    def get_experiment(self, experiment_id: str) -> Experiment:
        names = {number: name for name, number in self.experiments.items()}
        return self._answer(
            "get_experiment", lambda: _experiment(experiment_id, names[experiment_id])
        )

    def search_experiments(self, page_token: str | None = None) -> PagedList[Experiment]:
        found = [_experiment(number, name) for name, number in self.experiments.items()]
        assert page_token is None
        return self._answer("search_experiments", lambda: PagedList(found, None))

    def create_run(
        self, experiment_id: str, *, tags: dict[str, str], run_name: str | None
    ) -> MlflowRun:
        def work() -> MlflowRun:
            run_id, number = uuid.uuid4().hex, next(self._numbers)
            made = Kept(run_id, experiment_id, run_name or f"run-{number}", number, dict(tags))
            self.runs[run_id] = made
            return made.entity()

        return self._answer("create_run", work)

    def update_run_info(self, run_id: str, status: int, end_time: None, run_name: None) -> None:
        assert (end_time, run_name) == (None, None)

        def work() -> None:
            self._active(run_id).statuses.append(RunStatus(MlflowStatus.to_string(status)))

        self._answer("update_run", work)

    def set_terminated(self, run_id: str, status: str, end_time: int | None = None) -> None:
        def work() -> None:
            run = self._active(run_id)
            run.statuses.append(RunStatus(status))
            run.end_time = end_time

        self._answer("set_terminated", work)

    def log_batch(self, run_id: str, *, tags: list[RunTag], metrics: Sequence[Metric] = ()) -> None:
        def work() -> None:
            run = self._active(run_id)
            run.tags.update({each.key: each.value for each in tags})
            run.metrics.update({each.key: each.value for each in metrics})

        self._answer("log_batch", work)

    def log_artifact(self, run_id: str, path: str) -> None:
        def work() -> None:
            if self.keeps_files:
                self._active(run_id).artifacts[Path(path).name] = Path(path).read_bytes()

        self._answer("log_artifact", work)

    def download_artifacts(self, run_id: str, path: str, folder: str) -> str:
        def work() -> str:
            if path not in self._run(run_id).artifacts:
                message = f"no artifact {path}"
                raise MlflowException(message, error_code=RESOURCE_DOES_NOT_EXIST)
            local = Path(folder) / path
            local.write_bytes(self.runs[run_id].artifacts[path])
            return str(local)

        return self._answer("download_artifacts", work)

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        def work() -> ModelVersion:
            if (name, version) != ("example", "1"):
                message = f"Model Version (name={name}, version={version}) not found"
                raise MlflowException(message, error_code=RESOURCE_DOES_NOT_EXIST)
            return ModelVersion(name, version, 0)

        return self._answer("get_model_version", work)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        assert alias == "champion"
        return self.get_model_version(name, "1")

    def get_run(self, run_id: str) -> MlflowRun:
        return self._answer("get_run", lambda: self._run(run_id).entity())

    def delete_run(self, run_id: str) -> None:
        def work() -> None:
            self._active(run_id).deleted = True

        self._answer("delete_run", work)

    def search_runs(
        self,
        experiment_ids: list[str],
        filter_string: str,
        *,
        max_results: int,
        order_by: list[str],
        page_token: str | None,
    ) -> PagedList[MlflowRun]:
        assert order_by == ["attributes.start_time DESC"]

        def work() -> PagedList[MlflowRun]:
            found = [
                run.entity()
                for run in reversed(self.active())
                if run.experiment_id in experiment_ids and run.meets(filter_string)
            ]
            first = int(page_token or 0)
            following = first + max_results
            token = str(following) if following < len(found) else None
            return PagedList(found[first:following], token)

        return self._answer("search_runs", work)

    def search_logged_models(self, experiment_ids: list[str], filter_string: str) -> list[Any]:  # noqa: ARG002 - no run of these tests logs a model
        return self._answer("search_logged_models", list)


class FakeTracking(Tracking):
    """The real `Tracking` of one service instance, over a server in memory."""

    def __init__(self, mlflow: FakeMlflow, instance: str = "svc") -> None:
        super().__init__(uri="http://mlflow.test", ui_url="http://mlflow.test", instance=instance)
        self.mlflow = mlflow
        self._client: Any = mlflow
        self._store: Any = mlflow

    def answers(self) -> bool:
        """Whether the server is there."""
        return not self.mlflow.away


def does_not_answer() -> MlflowException:
    """What the client raises when it reaches nobody, or gets a 5xx."""
    return MlflowException("API request failed", error_code=INTERNAL_ERROR)


def not_found_by_a_proxy() -> MlflowException:
    """What the client makes of a 404 in plain text: MLflow's own are JSON."""
    return MlflowException("failed with error code 404", error_code=RESOURCE_DOES_NOT_EXIST)


def refusal() -> MlflowException:
    """What the client raises for a 4xx."""
    return MlflowException("refused", error_code=INVALID_PARAMETER_VALUE)


def _experiment(experiment_id: str, name: str) -> Experiment:
    return Experiment(experiment_id, name, f"mlflow-artifacts:/{experiment_id}", "active")
