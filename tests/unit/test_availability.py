"""Which errors mean that MLflow is away, and which that it refused."""

import pytest
import requests

pytest.importorskip("mlflow")

from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_DOES_NOT_EXIST,
    UNAUTHENTICATED,
)
from trainyard.tracking.availability import is_away


def answered(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("answered", response=response)


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("API request to http://mlflow failed with exception refused"),
        RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}),
        RestException({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slower"}),
        answered(500),
        answered(503),
        answered(401),
        answered(429),
        requests.ConnectionError("refused"),
        requests.Timeout("no answer"),
        MlflowException("who are you?", UNAUTHENTICATED),
    ],
)
def test_no_connection_no_answer_429_and_5xx_mean_away(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("a bad name", INVALID_PARAMETER_VALUE),
        MlflowException("no such run", RESOURCE_DOES_NOT_EXIST),
        answered(403),
        answered(404),
        ValueError("a bug"),
    ],
)
def test_what_mlflow_refuses_and_what_has_nothing_to_do_with_it_is_not_away(
    error: Exception,
) -> None:
    assert not is_away(error)
