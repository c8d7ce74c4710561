"""How long a run tries an MLflow that is away, and one whose artifact store is broken."""

import time
from collections.abc import Callable, Iterator

import pytest
import requests

pytest.importorskip("mlflow")

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from trainyard.errors import TrackingUnavailable
from trainyard.worker.patience import ArtifactStoreFailed, Patience

AWAY = MlflowException("API request to http://mlflow failed with exception refused")
QUICK = (0.0, 0.0, 0.0, 0.0)


def answered(status: int, text: str = "the disk is gone") -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    response._content = text.encode()
    return requests.HTTPError("answered", response=response)


class Mlflow:
    """Gives or raises one thing a call, and says whether it answers when each call has failed."""

    def __init__(self, *calls: object, answers: Callable[[], bool] = lambda: True) -> None:
        self.calls: Iterator[object] = iter(calls)
        self.answers = answers
        self.asked = 0
        self.said: list[str] = []

    def __call__(self) -> object:
        self.asked += 1
        found = next(self.calls)
        if isinstance(found, Exception):
            raise found
        return found

    def tried(self, away_seconds: float = 30.0) -> object:
        patiently = Patience(
            away_seconds=away_seconds, answers=self.answers, say=self.said.append, pauses=QUICK
        )
        return patiently(self, "the artifact store refuses files")


@pytest.mark.parametrize(
    "error", [answered(500), answered(403), AWAY, ArtifactStoreFailed("the disk is gone")]
)
def test_an_mlflow_that_answers_but_refuses_is_tried_five_times(error: Exception) -> None:
    mlflow = Mlflow(*[error] * 9)
    with pytest.raises(TrackingUnavailable, match="the artifact store refuses files: ") as raised:
        mlflow.tried()
    assert mlflow.asked == 5
    assert raised.value.__cause__ is error
    assert len(mlflow.said) == 5


def test_the_message_has_the_answer_and_not_all_of_a_long_one() -> None:
    with pytest.raises(TrackingUnavailable, match="500 the disk is gone") as raised:
        Mlflow(*[answered(500, "the disk is gone" + "!" * 10_000)] * 5).tried()
    assert len(raised.value.detail) < 1500


def test_what_heals_between_two_tries_goes_on() -> None:
    mlflow = Mlflow(answered(500), answered(500), answered(500), answered(500), "done")
    assert mlflow.tried() == "done"
    assert mlflow.asked == 5


def test_an_outage_is_waited_for_and_costs_no_tries() -> None:
    answers = iter([True, True, False, True, True, True])
    mlflow = Mlflow(*[answered(500)] * 6, "done", answers=lambda: next(answers))
    assert mlflow.tried() == "done"
    assert mlflow.asked == 7


def test_an_outage_that_outlasts_the_patience_ends_the_run() -> None:
    mlflow = Mlflow(*[AWAY] * 99, answers=lambda: False)
    started = time.monotonic()
    with pytest.raises(TrackingUnavailable, match="did not answer"):
        mlflow.tried(away_seconds=0.5)
    assert time.monotonic() - started < 5
    assert mlflow.asked > 1
    assert mlflow.said == []


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), MlflowException("a bad name", INVALID_PARAMETER_VALUE)]
)
def test_what_is_no_outage_is_raised_at_once(error: Exception) -> None:
    mlflow = Mlflow(error)
    with pytest.raises(type(error)) as raised:
        mlflow.tried()
    assert raised.value is error
    assert mlflow.asked == 1
