"""Whether MLflow is away (it did not answer, or cannot now) or has refused what it was asked.

What is away is asked again later. What is refused stays refused, however often it is asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import requests
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

NOT_LET_IN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
"""What opens MLflow was changed, there or here."""
NOT_NOW = NOT_LET_IN | {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


def is_away(error: BaseException) -> bool:
    """Whether trying again later may help: no connection, no answer in time, not let in, 429, or any 5xx."""
    if isinstance(error, MlflowException):
        return _not_now(int(error.get_http_status_code()))
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _not_now(error.response.status_code)
    return isinstance(error, requests.RequestException)


@contextmanager
def mlflows_own() -> Iterator[None]:
    """Let a 404 pass that MLflow itself says: one of a proxy that does not find MLflow means that it is away."""
    try:
        yield
    except RestException:
        raise
    except MlflowException as error:
        if error.get_http_status_code() != HTTPStatus.NOT_FOUND:
            raise
        raise MlflowException(str(error), error_code=TEMPORARILY_UNAVAILABLE) from error


def how_away(error: BaseException) -> str:
    """What MLflow does that is away, in words that follow its name."""
    if isinstance(error, MlflowException):
        status = int(error.get_http_status_code())
        if status in NOT_LET_IN:
            return f"does not let this service in ({status}); see MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and MLFLOW_TRACKING_TOKEN"
    return "does not answer"


def _not_now(status: int) -> bool:
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in NOT_NOW
