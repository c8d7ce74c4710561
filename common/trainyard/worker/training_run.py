"""The phases of a run, from top to bottom: load the data, train, evaluate, log, register."""

import json
import random
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from mlflow.entities.model_registry import ModelVersion

from trainyard.contract import Phase, Registered, RunStatus, Searched, TrainRequest
from trainyard.datasets.loading import load
from trainyard.datasets.tables.raw import KeptTable
from trainyard.launcher.messages import Job
from trainyard.raw_columns import feature_names
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome
from trainyard.trainer import Data, Fitted, Params, Trainer, Training, warnings_about
from trainyard.worker.evaluation import evaluate
from trainyard.worker.held_out_rows import HeldOutRows
from trainyard.worker.judging import Judging, Tested
from trainyard.worker.mlflow_logging import RunLog, run_log, server_of
from trainyard.worker.peer_predictions import Elsewhere
from trainyard.worker.plots import History, write_plots
from trainyard.worker.reporting import Progress, training
from trainyard.worker.search.findings import Drawing
from trainyard.worker.search.mirror import Mirror
from trainyard.worker.search.searching import search
from trainyard.worker.system_metrics import SystemMetrics
from trainyard.worker.whole import whole_for
from trainyard.worker.workers import begun
from trainyard.world import World

MOST_INDENTED = 500
"""Columns."""


def train_and_log(job: Job, folder: RunFolder, trainer: Trainer, progress: Progress) -> Outcome:
    """One run from its request to its outcome, begun in the phase `loading_data`. Raises `RunError`s, `Interrupted`, and whatever crashes."""
    submission, request = job.submission, asked(job)
    with run_log(submission, server_of(job), say=progress.note, overflow=folder.path) as log:
        system_metrics = SystemMetrics(submission.run_id, at_once=not _forks(request))
        data, judging, world = _begun(job, folder, trainer, progress, log)
        warnings = _said_of(data, trainer, progress)
        chosen = _chosen(job, folder, trainer, data, progress, log, world, system_metrics)
        system_metrics.start()

        progress.enter(Phase.TRAINING)
        trainer.autolog()
        fitted = trainer.train(chosen.params, data, _given(job, folder, progress, world))
        progress.trained()

        progress.enter(Phase.EVALUATING)
        tested = _tested(trainer, fitted, data)
        log.evaluated(tested.metrics, progress.history)
        if judging:
            judging.against(tested).ahead()
        _draw(folder, trainer, fitted, data, tested, progress.history)

        progress.enter(Phase.LOGGING_MODEL)
        log.flush()
        if chosen.search:
            chosen.search.finish(job.patience_seconds)
        log.files(folder.artifacts)
        model_uri = log.model(fitted, data)
        progress.heed()
        holder = _settled(judging, folder, log)
        system_metrics.finish()
        log.files(folder.log)

        registered = None
        if request.register_:
            _enter_registering(folder, progress)
            registered = log.registered(request.register_, model_uri, judging, holder)
        log.flush()
    metrics = tested.metrics | (judging.metrics if judging else {})
    outcome = _finished(progress.history, metrics, model_uri, registered, warnings)
    return outcome.model_copy(update={"searched": chosen.search and chosen.search.found})


def _enter_registering(folder: RunFolder, progress: Progress) -> None:
    """The run's last phase, and a note of it for a service that starts: the version may have its alias from here on."""
    progress.enter(Phase.REGISTERING)
    with suppress(OSError):  # a full disk may yet take the outcome
        folder.registering.touch()


def _begun(
    job: Job, folder: RunFolder, trainer: Trainer, progress: Progress, log: RunLog
) -> tuple[Data, Judging | None, World]:
    """The data, what judges by it, and the other processes that train on it, which are there and have the same."""
    seed_global_generators(asked(job).seed)
    kept = KeptTable()
    data = load_for(job, asked(job), trainer, keep=kept if asked(job).judged else None)
    judging = _judging(job, folder, data, kept, log)  # before there are connections to other ranks
    world = progress.world(job)
    begun(world, data)
    return data, judging, world


def _settled(judging: Judging | None, folder: RunFolder, log: RunLog) -> ModelVersion | None:
    """Whoever was judged, with what was found about it uploaded; None where nobody was."""
    holder = judging.settle() if judging else None
    if folder.judged.exists():
        log.files(folder.judged)
    return holder


@dataclass(frozen=True)
class Search:
    """What a search found, and what it still writes while its winner is trained."""

    found: Searched
    drawing: Drawing
    mirror: Mirror

    def finish(self, seconds: float) -> None:
        """Wait for the pictures, and until MLflow has all trials. Raises `TrackingUnavailable` when that takes too long."""
        self.drawing.finish()
        self.mirror.finish(seconds)


@dataclass(frozen=True)
class Chosen:
    """The params of a run: those that were asked for, with what a search has found."""

    params: Params
    search: Search | None = None


def _chosen(  # noqa: PLR0913, PLR0917 - what a search works with
    job: Job,
    folder: RunFolder,
    trainer: Trainer,
    data: Data,
    progress: Progress,
    log: RunLog,
    world: World,
    system_metrics: SystemMetrics,
) -> Chosen:
    """The params to train with, logged; searched for first where the request asks for that."""
    request = asked(job)

    def log_inputs(params: dict[str, Any]) -> None:
        also = {"workers": request.workers} if request.workers > 1 else {}
        log.inputs(trainer=trainer, params=also | params, data=data, split=request.split)

    if not request.search:
        params = params_of(trainer, request.params)
        log_inputs(params.model_dump())
        return Chosen(params)
    log_inputs({})
    progress.enter(Phase.SEARCHING)
    mirror = log.mirror(folder.search)
    found, drawing = search(job, folder, trainer, data, progress, mirror, world, system_metrics)
    params = params_of(trainer, {**request.params, **found.best_params})
    log.params(params.model_dump())
    return Chosen(params, Search(found, drawing, mirror))


def _given(job: Job, folder: RunFolder, progress: Progress, world: World) -> Training:
    """What the trainer may use.

    The winner of a search is trained by this process alone, as its trial was, and its checkpoints stay here: those kept
    elsewhere may be another winner's.
    """
    request = asked(job)
    if request.search:
        job, world = job.model_copy(update={"checkpoints": ""}), World()
    return training(job, folder, request.seed, progress, world)


def asked(job: Job) -> TrainRequest:
    """The training that the job is of."""
    request = job.submission.request
    if not isinstance(request, TrainRequest):
        raise TypeError(f"run {job.submission.run_id} does not train but {request.kind}s")
    return request


def params_of(trainer: Trainer, params: dict[str, Any]) -> Params:
    """The params of a request as the trainer's own."""
    return trainer.params.model_validate_json(json.dumps(params))


def seed_global_generators(seed: int) -> None:
    """For libraries that draw from Python's or NumPy's global generator."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - it is the global one that is meant


def load_for(
    job: Job, request: TrainRequest, trainer: Trainer, keep: KeptTable | None = None
) -> Data:
    """The request's data, split, if the trainer can take it. `keep` is shown a table. Raises `InvalidData`."""
    params = None if request.search else params_of(trainer, request.params)
    return load(
        request.data,
        request.split,
        task=trainer.task,
        kinds=trainer.data,
        access=job.access,
        needs_whole=whole_for(request, trainer, params),
        keep=keep,
    )


def _said_of(data: Data, trainer: Trainer, progress: Progress) -> list[str]:
    """Tell people about the data, and what this model makes of it: the warnings."""
    if data.beyond_memory:
        progress.note(data.beyond_memory)
    _say_what_dates_become(data)
    return progress.warn([*data.warnings, *warnings_about(trainer, data)])


def _say_what_dates_become(data: Data) -> None:
    """In the log alone: it is no cause for worry."""
    for name, about in data.dates.items():
        zone = f", in the zone {about['zone']}" if about["zone"] else ""
        made = ", ".join(feature_names(about))
        sys.stdout.write(f"the dates of {name!r} become {made} (since {about['origin']}{zone})\n")


def _tested(trainer: Trainer, fitted: Fitted, data: Data) -> Tested:
    """The model on the validation and the test rows."""
    metrics: dict[str, float] = {}
    for prefix, part in (("validation", data.validation), ("test", data.test)):
        if part is not None and len(part):
            predicted = fitted.predict(part.x)
            metrics |= evaluate(trainer.task, predicted, part, data.classes, prefix)
    return Tested(predicted, metrics)


def _draw(  # noqa: PLR0913, PLR0917 - what there is to be seen
    folder: RunFolder,
    trainer: Trainer,
    fitted: Fitted,
    data: Data,
    tested: Tested,
    history: History,
) -> None:
    """Leave plots and the data's profile in `folder.artifacts`."""
    plots = folder.artifacts / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    write_plots(
        plots,
        task=trainer.task,
        predicted=tested.predicted,
        part=data.test,
        classes=data.classes,
        history=history,
        importance=fitted.feature_importance(),
    )
    profile = json.dumps(data.profile, default=str, indent=None if _is_wide(data) else 2)
    (folder.artifacts / "data_profile.json").write_text(profile)


def _is_wide(data: Data) -> bool:
    """Whether its profile is too long to be read by people, and half of it would be indentation."""
    return len(data.profile.get("columns", ())) > MOST_INDENTED


def _forks(request: TrainRequest) -> bool:
    """Whether a process is forked before the training: the one that scores the champion, or that forks a search's trials."""
    return request.judged or request.search is not None


def _judging(
    job: Job, folder: RunFolder, data: Data, kept: KeptTable, log: RunLog
) -> Judging | None:
    """What judges the champion on this run's test rows, which is scored from now on; None where no promotion is asked for.

    A search takes longer than a champion holds still for, and so it is scored after that.
    """
    request = asked(job)
    register = request.register_
    if register is None or register.promote is None:
        return None
    judging = Judging(
        register.name,
        register.promote,
        data=data,
        rows=HeldOutRows(request, data, job.access, kept),
        log=log,
        artifacts=folder.judged,
        elsewhere=Elsewhere(job.peers, request),
    )
    with log.still() as still:
        if still:
            judging.begin(fetch=request.search is None)
    if not still:
        judging.forget()
        log.say("MLflow is slow to answer: the champion is scored once the model is trained")
    return judging


def _finished(
    history: History,
    metrics: dict[str, float],
    model_uri: str,
    registered: Registered | None,
    warnings: list[str],
) -> Outcome:
    """The outcome of a run that has logged everything; its metrics are those of the last round and of the evaluation."""
    last = {name: points[-1][1] for name, points in history.items()}
    return Outcome(
        status=RunStatus.FINISHED,
        metrics={**last, **metrics},
        model_uri=model_uri,
        registered=registered,
        warnings=warnings,
        ended_at=datetime.now(UTC),
        log_uploaded=True,
    )
