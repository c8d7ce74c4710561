"""The phases of a run that scores, from top to bottom: load the model and open the data, score, evaluate, write."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainyard.contract import BuiltinData, ImageData, Phase, RunStatus, ScoredData, ScoreRequest
from trainyard.datasets.outputs import write_output
from trainyard.datasets.scoring.images import rows_of_images
from trainyard.datasets.scoring.rows import RowsToScore
from trainyard.datasets.scoring.tables import Wanted, rows_of_table
from trainyard.datasets.sources.redaction import redacted
from trainyard.disk_space import is_full
from trainyard.errors import InvalidData, InvalidParams, TrackingUnavailable
from trainyard.launcher.messages import Job
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome
from trainyard.worker.champion import CannotScore
from trainyard.worker.measured import Measured
from trainyard.worker.mlflow_logging import RunLog, run_log, server_of
from trainyard.worker.predictions_file import NAME, PredictionsFile
from trainyard.worker.reporting import Progress
from trainyard.worker.scored_model import ScoredModel
from trainyard.worker.system_metrics import SystemMetrics


def score_and_log(job: Job, folder: RunFolder, progress: Progress) -> Outcome:
    """One run from its request to its outcome, begun in the phase `loading_data`. Raises `RunError`s, `Interrupted`, and whatever crashes."""
    submission, request = job.submission, _asked(job)
    with run_log(submission, server_of(job), say=progress.note, overflow=folder.path) as log:
        system_metrics = SystemMetrics(submission.run_id)
        log.scored(_params(request))
        model = _loaded(log, request)
        with _rows(job, request, model) as rows:
            progress.enter(Phase.SCORING)
            measured = Measured(rows, "test" if request.rows == "test" else "scored")
            predictions = _scored(folder, model, rows, measured, progress)
        progress.enter(Phase.EVALUATING)
        metrics = measured.metrics()
        if measured.left_out:
            progress.note(f"no metrics: {measured.left_out}")
        log.metrics(metrics)

        progress.enter(Phase.WRITING)
        log.flush()
        log.files(folder.artifacts)
        if request.output:
            written = _written(predictions, request.output, job)
            progress.note(f"the predictions are in {written}")
        system_metrics.finish()
        log.files(folder.log)
        log.flush()
    return Outcome(
        status=RunStatus.FINISHED,
        metrics=metrics,
        model_uri=request.model_uri,
        ended_at=datetime.now(UTC),
        log_uploaded=True,
    )


def _written(predictions: Path, output: str, job: Job) -> str:
    """Where they are, beside MLflow. Raises `InvalidData`, and OSError on a full disk."""
    try:
        return write_output(predictions, output, job.access, job.submission.run_id)
    except InvalidData as error:
        message = f"{error.detail}; the predictions are in MLflow, as {NAME} of this run"
        raise InvalidData(message, error.pointer) from error


def _asked(job: Job) -> ScoreRequest:
    request = job.submission.request
    if not isinstance(request, ScoreRequest):
        raise TypeError(f"run {job.submission.run_id} does not score but {request.kind}s")
    return request


def _params(request: ScoreRequest) -> dict[str, Any]:
    """What MLflow shows of the request."""
    data = request.data
    return {
        "model_uri": request.model_uri,
        "data": _said(data),
        "rows": request.rows,
        "output": request.output,
    }


def _said(data: ScoredData) -> str:
    """What MLflow shows of the data."""
    if isinstance(data, BuiltinData):
        return data.name
    return redacted(data.uri if isinstance(data, ImageData) else data.address)


def _loaded(log: RunLog, request: ScoreRequest) -> ScoredModel:
    """The model. Raises `InvalidParams` where it cannot be loaded here."""
    try:
        return ScoredModel(log.loaded(request.model_uri))
    except (TrackingUnavailable, MemoryError):
        raise
    except Exception as error:  # whatever its code or its files raise
        if is_full(error):
            raise
        why = str(error) if isinstance(error, CannotScore) else f"{type(error).__name__}: {error}"
        raise InvalidParams(f"{request.model_uri} cannot be loaded: {why}") from error


@contextmanager
def _rows(job: Job, request: ScoreRequest, model: ScoredModel) -> Iterator[RowsToScore]:
    columns = model.about.columns
    if columns is None:
        yield rows_of_images(request, job.access)
        return
    about, keep = model.about, tuple(request.keep)
    text = about.label_type is str
    wanted = Wanted(columns, keep, about.task, model.trained_on, classes_are_text=text)
    with rows_of_table(request, wanted, job.access) as rows:
        yield rows


def _scored(
    folder: RunFolder, model: ScoredModel, rows: RowsToScore, measured: Measured, progress: Progress
) -> Path:
    """The file with a prediction a row. Raises `InvalidData` where the model refuses the rows."""
    path, done = folder.artifacts / NAME, 0
    with PredictionsFile(path) as file:
        for each in rows.slices():
            try:
                predicted = model.predict(each.x)
                file.write(predicted, each.kept)
            except CannotScore as error:
                raise InvalidData(f"the model cannot score this data: {error}") from error
            measured.add(predicted)
            done += len(each)
            progress.report(done=done, total=rows.total, unit="rows", metrics={})
    return path
