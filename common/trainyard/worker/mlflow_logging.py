"""What a run's process writes to MLflow.

Params, tags, metrics and the data set go through the buffered store, so that MLflow may be away for a
while. Files, the model and its version are written at the end, and tried again as `Patience` says.
"""

import logging
import os
import platform
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import requests
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Metric, Run, RunData, RunInfo, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from trainyard.contract import Placement, Register, Registered, Split
from trainyard.errors import TrackingUnavailable
from trainyard.launcher.messages import Job
from trainyard.peers.calling import PeerAway
from trainyard.peers.services import Peers
from trainyard.peers.turns import TurnsAmongServices
from trainyard.registry import mlflow_registry as registry
from trainyard.registry.recorded import DIGEST_TAG, SPLIT_TAG, TEST_ROWS_TAG
from trainyard.rundir.records import Submission
from trainyard.tracking.buffered_store import BufferedStore, buffer_writes
from trainyard.tracking.logged_models import finished_model
from trainyard.trainer import Data, Fitted, Trainer
from trainyard.worker.holders import Holders
from trainyard.worker.judging import Judging
from trainyard.worker.logged_dataset import dataset_input
from trainyard.worker.logged_params import as_params
from trainyard.worker.patience import ArtifactStoreFailed, Patience
from trainyard.worker.search.mirror import Mirror

LEAVING_SECONDS = 5.0
"""How long a run that breaks off waits for MLflow to take what it has reported."""
STILL_SECONDS = 5.0
"""How long a run waits, once, for what is on its way to MLflow: a loaded MLflow takes a second to answer."""
MOST_EXAMPLE_COLUMNS = 1_000
"""Of 5,000 columns an example takes 5 s and 0.8 MB."""
CHATTY_LOGGERS = ("mlflow.system_metrics", "mlflow.pyfunc", "mlflow.utils.environment")


@dataclass(frozen=True)
class Mlflow:
    """The MLflow of a run, and what its entries say about the service that trains."""

    uri: str
    patience_seconds: float
    """How long a run that has trained waits for an MLflow that is away."""
    service: str
    git_commit: str
    locks: Path
    """The folder of the registered models' locks."""
    peers: Peers
    """The other services."""
    placement: tuple[Placement, ...] = ()
    """Where the run is; empty for the service's own host."""

    @property
    def placed(self) -> dict[str, str]:
        """The tag that says where the run is, where that is another host."""
        return (
            {"trainyard.placement": ", ".join(map(str, self.placement))} if self.placement else {}
        )


def server_of(job: Job) -> Mlflow:
    """The job's part that concerns MLflow."""
    return Mlflow(
        uri=job.tracking_uri,
        patience_seconds=job.patience_seconds,
        service=job.service,
        git_commit=job.git_commit,
        locks=job.locks,
        peers=job.peers,
        placement=job.placement,
    )


class RunLog:
    """One run in MLflow, written by the run's process."""

    def __init__(
        self,
        submission: Submission,
        server: Mlflow,
        store: BufferedStore,
        say: Callable[[str], object],
    ) -> None:
        self._submission = submission
        self._run_id = submission.run_id
        self._mlflow = server
        self._store = store
        self._client = MlflowClient()
        self.say = say
        """Tells people something about the run."""
        self._patiently = Patience(
            away_seconds=server.patience_seconds, answers=store.answers, say=say
        )
        self._refusal = f"MLflow answers, but its artifact store {submission.artifact_uri} refuses"

    def inputs(
        self, *, trainer: Trainer, params: Mapping[str, Any], data: Data, split: Split
    ) -> None:
        """Log the params that are not None, what the run was made from, and the data set."""
        tags = {
            DIGEST_TAG: data.digest,
            TEST_ROWS_TAG: str(len(data.test)),
            SPLIT_TAG: split.model_dump_json(),
            "trainyard.framework": f"{trainer.framework} {version(trainer.framework)}",
        }
        self._begun(params, tags)
        self._client.log_inputs(self._run_id, [dataset_input(data)])

    def params(self, params: Mapping[str, Any]) -> None:
        """Log the params that are not None."""
        self._client.log_batch(self._run_id, params=as_params(params))

    def mirror(self, kept: Path) -> Mirror:
        """What makes nested runs of the trials that are kept in this folder."""
        return Mirror(self._submission, self._client, kept)

    def scored(self, params: Mapping[str, Any]) -> None:
        """Log the params of a scoring that are not None, and what the run was made from."""
        self._begun(params, {})

    def _begun(self, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        tags = {
            **tags,
            **self._mlflow.placed,
            "trainyard.python": platform.python_version(),
            "trainyard.version": version("trainyard"),
            "mlflow.source.name": f"trainyard/{self._mlflow.service}",
            "mlflow.source.git.commit": self._mlflow.git_commit,
        }
        self._client.log_batch(
            self._run_id,
            params=as_params(params),
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def evaluated(self, metrics: Mapping[str, float], reported: Collection[str]) -> None:
        """Log those that no round has `reported`: the curves of the others end with the last round, and not with the best."""
        self.metrics({name: value for name, value in metrics.items() if name not in reported})

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Log what is measured once."""
        self._measured(metrics)

    def champion(self, version: str, metrics: Mapping[str, float]) -> None:
        """Log what the holder of the alias reached on the test rows, and which version that is."""
        self._measured(metrics, RunTag("trainyard.champion_version", version))

    def drift(self, max_psi: float) -> None:
        """Log how far the column that moved most has moved since the data of the alias's holder."""
        self._measured({"drift_max_psi": max_psi})

    def holders(self) -> Holders:
        """What asks MLflow about other runs' models."""
        return Holders(
            self._client,
            patience_seconds=self._mlflow.patience_seconds,
            answers=self._store.answers,
            say=self.say,
            own=self._run_id,
        )

    def still(self) -> AbstractContextManager[bool]:
        """Whether nothing is on its way to MLflow, nor will be before this is left: a moment to fork in."""
        return self._store.still(STILL_SECONDS)

    def flush(self) -> None:
        """Wait until MLflow has all that was buffered. Raises `TrackingUnavailable` when it takes too long."""
        if not self._store.flush(self._mlflow.patience_seconds):
            raise TrackingUnavailable

    def files(self, *paths: Path) -> None:
        """Upload files, and folders with all that is in them."""
        self._patiently(lambda: self._upload(paths), f"{self._refusal} files")

    def loaded(self, model_uri: str) -> Any:
        """A model of MLflow, by `mlflow.pyfunc`. Raises whatever its code or its files raise, and `TrackingUnavailable`."""
        return self._patiently(
            lambda: mlflow.pyfunc.load_model(model_uri),
            f"MLflow answers, but does not give the files of {model_uri}",
        )

    def model(self, fitted: Fitted, data: Data) -> str:
        """Log the model once, and return its URI: a run that was killed after it had, finds it again."""
        try:
            return self._patiently(
                lambda: self._logged_model(fitted, data), f"{self._refusal} the model"
            )
        except TrackingUnavailable:
            with suppress(Exception):  # MLflow may be away: the run ends all the same
                self._finished_model()
            raise

    def registered(
        self,
        request: Register,
        model_uri: str,
        judging: Judging | None,
        holder: ModelVersion | None,
    ) -> Registered:
        """Register the model with what its judging has found, give it its alias, promote it.

        `holder`: whoever was judged as the holder of that alias; None where nobody was.
        """
        self.flush()
        self._store.read_through()
        tags = {
            "trainyard.run_id": self._run_id,
            "trainyard.service": self._mlflow.service,
            **(judging.tags() if judging else {}),
        }
        turns = TurnsAmongServices(
            self._client,
            self._mlflow.peers,
            self._mlflow.locks,
            patience_seconds=self._mlflow.patience_seconds,
        )
        try:
            return self._patiently(
                lambda: registry.register_run(
                    self._client,
                    run_id=self._run_id,
                    model_uri=model_uri,
                    request=request,
                    locks=self._mlflow.locks,
                    tags=tags,
                    judge=judging,
                    holder=holder,
                    turns=turns,
                ),
                f"MLflow answers, but does not register {request.name!r}",
            )
        except PeerAway as error:
            raise TrackingUnavailable(error.detail) from error

    def _measured(self, metrics: Mapping[str, float], *tags: RunTag) -> None:
        """Log what is measured once, after the training."""
        at = int(datetime.now(UTC).timestamp() * 1000)
        found = [Metric(name, value, at, 0) for name, value in metrics.items()]
        self._client.log_batch(self._run_id, found, tags=tags)

    def _upload(self, paths: tuple[Path, ...]) -> None:
        try:
            for path in paths:
                if path.is_dir():
                    self._client.log_artifacts(self._run_id, str(path))
                else:
                    self._client.log_artifact(self._run_id, str(path))
        except (MlflowException, requests.RequestException):
            raise
        except (
            Exception
        ) as error:  # boto's, the file system's, or whatever else the store is made of
            message = f"{type(error).__name__}: {error}"
            raise ArtifactStoreFailed(message) from error

    def _logged_model(self, fitted: Fitted, data: Data) -> str:
        found = self._finished_model()
        if found is None:
            with _no_bytecode():
                fitted.log_model(name="model", input_example=_example(fitted, data))
            found = self._finished_model()
        if found is None:
            message = f"MLflow shows no model logged by run {self._run_id}"
            raise MlflowException(message)
        return str(found.model_uri)

    def _finished_model(self) -> LoggedModel | None:
        """The run's logged model. One that an earlier try did not finish is deleted."""
        return finished_model(
            self._client, experiment_id=self._submission.experiment_id, run_id=self._run_id
        )


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """MLflow loads a model before it uploads it, and what Python makes of its code then, for this machine, is no part of it."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _example(fitted: Fitted, data: Data) -> Any:
    """The first test rows; None for a wide table, whose example MLflow would write twice, parse and predict from."""
    if data.kind == "table" and data.frame.shape[1] > MOST_EXAMPLE_COLUMNS:
        return None
    return fitted.raw_example(data.test.x)


@contextmanager
def run_log(
    submission: Submission, server: Mlflow, *, say: Callable[[str], object], overflow: Path
) -> Iterator[RunLog]:
    """Make this run the process's active run, and its writes buffered, in files in `overflow` if they are many.

    What was reported before a failure or an interruption is sent as well: the next attempt will not report it again.
    """
    # One more try, for a kept connection that was closed; all other patience is ours.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "30"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # of each trial that ends
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"  # a log has no use for it
    for chatty in CHATTY_LOGGERS:
        logging.getLogger(chatty).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(server.uri)
    store = buffer_writes(_as_the_service_made_it(submission), overflow=overflow)
    mlflow.start_run(run_id=submission.run_id, log_system_metrics=False)
    try:
        yield RunLog(submission, server, store, say)
    except BaseException:
        store.flush(LEAVING_SECONDS)
        raise


def _as_the_service_made_it(submission: Submission) -> Run:
    """The MLflow run, without asking MLflow."""
    info = RunInfo(
        run_id=submission.run_id,
        experiment_id=submission.experiment_id,
        user_id="trainyard",
        status="RUNNING",
        start_time=int(submission.submitted_at.timestamp() * 1000),
        end_time=None,
        lifecycle_stage="active",
        artifact_uri=submission.artifact_uri,
        run_name=submission.run_name,
    )
    return Run(info, RunData())
