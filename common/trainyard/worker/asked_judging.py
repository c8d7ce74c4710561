"""The holder of an alias, judged after the run that may replace it has ended: by the run's request, and what MLflow has of it.

The run stays as it ended, so nothing is logged in it.
"""

import os
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from trainyard.contract import Promote
from trainyard.datasets.loading import load
from trainyard.datasets.tables.raw import KeptTable
from trainyard.errors import InvalidData, TrackingUnavailable
from trainyard.launcher.messages import Judge
from trainyard.registry.promotion import Judgement
from trainyard.registry.recorded import DIGEST_TAG
from trainyard.tracking.availability import is_away
from trainyard.trainer import Trainer
from trainyard.worker.champion import CannotScore
from trainyard.worker.held_out_rows import HeldOutRows
from trainyard.worker.judging import Judging, Tested
from trainyard.worker.peer_predictions import Elsewhere
from trainyard.worker.unlogged import Unlogged


def judged(order: Judge, trainer: Trainer) -> Judgement:
    """What was found about the holder, or why it cannot be compared. Raises `TrackingUnavailable`."""
    case = order.case
    os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
    client = MlflowClient()
    try:
        own = client.get_model_version(case.name, case.version)
        holder = client.get_model_version(case.name, case.holder)
    except MlflowException as error:
        if is_away(error):
            raise TrackingUnavailable from error
        return Judgement(case.holder, incomparable=f"MLflow does not have it: {error.message}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _judging(order, trainer, own, Unlogged(client), Path(folder))(holder)
    except CannotScore as error:
        return Judgement(case.holder, incomparable=str(error))
    except InvalidData as error:
        why = f"the data of the run cannot be read any more: {error.detail}"
        return Judgement(case.holder, incomparable=why)


def _judging(
    order: Judge, trainer: Trainer, own: ModelVersion, log: Unlogged, folder: Path
) -> Judging:
    """A judge that knows the run's own answers. Raises `CannotScore` and `InvalidData`."""
    request = order.request
    run = log.holders().run(own)
    if run is None:
        raise CannotScore(f"the run of version {own.version} was deleted")
    kept = KeptTable()
    data = load(
        request.data,
        request.split,
        task=trainer.task,
        kinds=trainer.data,
        access=order.access,
        keep=kept,
        needs_whole=None,
    )
    if data.digest != run.data.tags.get(DIGEST_TAG):
        raise CannotScore(f"the data has changed since the run of version {own.version} read it")
    rows = HeldOutRows(request, data, order.access, kept)
    try:
        model = log.holders().model(own)
        predicted = rows.predicted_by(model, data.classes)
    except CannotScore as error:
        raise CannotScore(f"version {own.version} itself cannot be asked: {error}") from error
    judging = Judging(
        order.case.name,
        _rule(order),
        data=data,
        rows=rows,
        log=log,
        artifacts=folder,
        elsewhere=Elsewhere(order.peers, request),
    )
    return judging.against(Tested(predicted, dict(run.data.metrics)))


def _rule(order: Judge) -> Promote:
    register = order.request.register_
    if register is None or register.promote is None:
        raise TypeError("a run that asks for no promotion has nothing to be judged by")
    return register.promote
