"""A model's predictions of the test rows of a run: made here for another service, and made elsewhere for this one."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from trainyard.contract import TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.datasets.tables.raw import KeptTable
from trainyard.errors import InvalidData, TrackingUnavailable
from trainyard.peers.calling import PeerAway, PeerRefused
from trainyard.peers.predictions import digest_of_rows, predicted_by
from trainyard.peers.question import Question
from trainyard.peers.services import Peers
from trainyard.tracking.availability import is_away
from trainyard.trainer import Data
from trainyard.worker.champion import CannotScore
from trainyard.worker.held_out_rows import HeldOutRows
from trainyard.worker.unlogged import Unlogged

Array = npt.NDArray[Any]
ANSWER_SECONDS = 600.0
"""How long another service is waited for; its own limit, `TRAINYARD_JUDGE_SECONDS`, is mostly reached first."""


def predict_here(question: Question, access: DataAccess, path: Path) -> str:
    """Write the predictions to `path`, and answer the digest of the rows. Raises `CannotScore` and `TrackingUnavailable`."""
    os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
    client, kept = MlflowClient(), KeptTable()
    request = question.request
    try:
        version = client.get_model_version(question.name, question.version)
        model = Unlogged(client).holders().model(version)
        data = load(
            request.data,
            request.split,
            task=question.task,
            kinds=(question.kind,),
            access=access,
            keep=kept,
            needs_whole=None,
        )
    except InvalidData as error:
        raise CannotScore(f"the data of the run cannot be read there: {error.detail}") from error
    except MlflowException as error:
        if is_away(error):
            raise TrackingUnavailable from error
        raise CannotScore(f"MLflow does not have it: {error.message}") from error
    rows = HeldOutRows(request, data, access, kept)
    predicted = rows.predicted_by(model, question.classes)
    with path.open("wb") as file:
        np.save(file, predicted, allow_pickle=False)
    return digest_of_rows(data)


class Elsewhere:
    """Asks the other services, the one first that has trained the model."""

    def __init__(self, peers: Peers, request: TrainRequest) -> None:
        self._peers = peers
        self._request = request

    def __call__(self, holder: ModelVersion, data: Data, why: str) -> Array:
        """The model's predictions of the test rows. Raises `CannotScore`, with `why` it cannot be asked here."""
        question = Question(
            request=self._request,
            task=data.task,
            kind=data.kind,
            classes=None if data.classes is None else [str(label) for label in data.classes],
            name=str(holder.name),
            version=str(holder.version),
        )
        reasons = [why]
        for name in self._peers.others(first=holder.tags.get("trainyard.service")):
            try:
                predicted, rows = predicted_by(self._peers, name, question, seconds=ANSWER_SECONDS)
            except (PeerAway, PeerRefused) as error:
                reasons.append(error.detail)
                continue
            except ValueError as error:
                reasons.append(f"the service {name} answers with no predictions: {error}")
                continue
            if rows == digest_of_rows(data) and len(predicted) == len(data.test):
                return predicted
            reasons.append(f"the service {name} finds other test rows in the data")
        raise CannotScore("; ".join(reasons))
