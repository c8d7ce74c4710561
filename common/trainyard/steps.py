"""The phases of a run: load the data, train, evaluate, log the model, register it."""

import json
import logging
import os
import platform
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_exponential

from trainyard import datasets, registry
from trainyard.buffering import BufferedStore, buffer_writes, is_away
from trainyard.child import Job, Progress, training
from trainyard.contract import Phase, Registered, RunStatus
from trainyard.errors import TrackingUnavailable
from trainyard.evaluation import evaluate
from trainyard.folder import Outcome, RunFolder, Submission
from trainyard.plots import write_plots
from trainyard.trainer import Data, Fitted, Trainer

LEAVING_SECONDS = 5.0


def train_and_log(job: Job, folder: RunFolder, submission: Submission, trainer: Trainer, progress: Progress) -> Outcome:
    """One run from its request to its outcome. Raises `RunError`s, `Interrupted`, and whatever crashes."""
    request = submission.request
    store = _track(job, submission)
    with _sent_even_if_it_breaks_off(store):
        random.seed(request.seed)
        np.random.seed(request.seed)  # noqa: NPY002 - libraries that use the global generator
        progress.enter(Phase.LOADING_DATA)
        monitor = SystemMetricsMonitor(submission.run_id, sampling_interval=1, samples_before_logging=10)
        monitor.start()
        data = datasets.load(request.data, request.split, task=trainer.task, kinds=trainer.data, access=job.data_access)
        params = trainer.params.model_validate_json(json.dumps(request.params))
        _log_inputs(job, submission, trainer, params.model_dump(), data)

        progress.enter(Phase.TRAINING)
        trainer.autolog()
        fitted = trainer.train(params, data, training(job, folder, request.seed, progress))
        progress.trained()

        progress.enter(Phase.EVALUATING)
        metrics = _evaluate(folder, trainer, fitted, data, progress)
        _log_metrics(submission.run_id, metrics)

        progress.enter(Phase.LOGGING_MODEL)
        patiently = _patience(job)
        if not store.flush(job.patience_seconds):
            raise TrackingUnavailable
        model_uri = patiently(lambda: _log_model(submission, fitted, data))
        _finish(monitor)
        patiently(lambda: _upload(folder, submission.run_id))

        registered = None
        if request.register_:
            progress.enter(Phase.REGISTERING)
            if not store.flush(job.patience_seconds):
                raise TrackingUnavailable
            store.read_through()
            registered = patiently(lambda: _register(job, submission, model_uri))
        if not store.flush(job.patience_seconds):
            raise TrackingUnavailable
        last = {name: points[-1][1] for name, points in progress.history.items()}
        return Outcome(
            status=RunStatus.FINISHED, metrics={**last, **metrics}, model_uri=model_uri, registered=registered,
            ended_at=datetime.now(UTC), log_uploaded=True,
        )


@contextmanager
def _sent_even_if_it_breaks_off(store: BufferedStore) -> Iterator[None]:
    """What was reported before a failure or an interruption goes to MLflow: the next attempt will not report it again."""
    try:
        yield
    except BaseException:
        store.flush(LEAVING_SECONDS)
        raise


def _track(job: Job, submission: Submission) -> BufferedStore:
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "30"
    for chatty in ("mlflow.system_metrics", "mlflow.pyfunc", "mlflow.utils.environment"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(job.tracking_uri)
    started = int(submission.submitted_at.timestamp() * 1000)
    info = RunInfo(
        run_id=submission.run_id, experiment_id=submission.experiment_id, user_id="trainyard", status="RUNNING",
        start_time=started, end_time=None, lifecycle_stage="active", artifact_uri=submission.artifact_uri,
        run_name=submission.run_name,
    )
    store = buffer_writes(Run(info, RunData()))
    mlflow.start_run(run_id=submission.run_id, log_system_metrics=False)
    return store


def _finish(monitor: SystemMetricsMonitor) -> None:
    """End the monitor with the samples of its last, unfinished interval: a short run has no other."""
    monitor.finish()
    monitor.publish_metrics(monitor.aggregate_metrics())
    monitor.mlflow_logger.flush()


def _log_inputs(job: Job, submission: Submission, trainer: Trainer, params: dict[str, Any], data: Data) -> None:
    client = MlflowClient()
    request = submission.request
    client.log_batch(
        submission.run_id,
        params=[Param(name, str(value)) for name, value in params.items() if value is not None],
        tags=[
            RunTag("trainyard.data_digest", data.digest),
            RunTag("trainyard.split", request.split.model_dump_json()),
            RunTag("trainyard.framework", f"{trainer.framework} {version(trainer.framework)}"),
            RunTag("trainyard.python", platform.python_version()),
            RunTag("trainyard.version", version("trainyard")),
            RunTag("mlflow.source.name", f"trainyard/{job.service}"),
            RunTag("mlflow.source.git.commit", job.git_commit),
        ],
    )
    profile = json.dumps(data.profile, default=str)
    dataset = Dataset(name=data.name[:500], digest=data.digest[:36], source_type="trainyard", source=json.dumps({"uri": data.source}), profile=profile[:16_000])
    client.log_inputs(submission.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _evaluate(folder: RunFolder, trainer: Trainer, fitted: Fitted, data: Data, progress: Progress) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for prefix, part in (("validation", data.validation), ("test", data.test)):
        if part is not None and len(part):
            predicted = fitted.predict(part.x)
            metrics |= evaluate(trainer.task, predicted, part, data.classes, prefix)
    folder.artifacts.mkdir(exist_ok=True)
    plots = folder.artifacts / "plots"
    plots.mkdir(exist_ok=True)
    write_plots(
        plots, task=trainer.task, predicted=predicted, part=data.test, classes=data.classes,
        history=progress.history, importance=fitted.feature_importance(),
    )
    (folder.artifacts / "data_profile.json").write_text(json.dumps(data.profile, default=str, indent=2))
    return metrics


def _log_metrics(run_id: str, metrics: dict[str, float]) -> None:
    at = int(datetime.now(UTC).timestamp() * 1000)
    MlflowClient().log_batch(run_id, [Metric(name, value, at, 0) for name, value in metrics.items() if name.startswith("test_")])


def _log_model(submission: Submission, fitted: Fitted, data: Data) -> str:
    """Log the model once: a run that was killed after it had, finds it again."""
    found = _logged(submission)
    if found:
        return found
    example = fitted.raw_example(data.test.x)
    fitted.log_model(name="model", input_example=example)
    found = _logged(submission)
    if not found:
        message = f"MLflow shows no model logged by run {submission.run_id}"
        raise MlflowException(message)
    return found


def _logged(submission: Submission) -> str | None:
    found = MlflowClient().search_logged_models([submission.experiment_id], filter_string=f"source_run_id = '{submission.run_id}'")
    ready = [model for model in found if model.status == "READY"]
    return str(ready[0].model_uri) if ready else None


def _upload(folder: RunFolder, run_id: str) -> None:
    client = MlflowClient()
    client.log_artifacts(run_id, str(folder.artifacts))
    client.log_artifact(run_id, str(folder.request))
    client.log_artifact(run_id, str(folder.log))


def _register(job: Job, submission: Submission, model_uri: str) -> Registered:
    wanted = submission.request.register_
    if wanted is None:
        message = "nothing to register"
        raise ValueError(message)
    return registry.register_run(
        MlflowClient(), run_id=submission.run_id, model_uri=model_uri, request=wanted, locks=job.locks,
        tags={"trainyard.run_id": submission.run_id, "trainyard.service": job.service},
    )


def _patience(job: Job) -> Callable[[Callable[[], Any]], Any]:
    def patiently(call: Callable[[], Any]) -> Any:
        try:
            return Retrying(
                retry=retry_if_exception(is_away), stop=stop_after_delay(job.patience_seconds), wait=wait_exponential(0.2, 10), reraise=False,
            )(call)
        except RetryError as error:
            raise TrackingUnavailable from error.last_attempt.exception()
    return patiently
