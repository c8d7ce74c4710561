"""Whether MLflow is away (it did not answer, or cannot now) or has refused what it was asked.

What is away is asked again later. What is refused stays refused, however often it is asked.
"""

import requests
from mlflow.exceptions import MlflowException

TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500


def is_away(error: BaseException) -> bool:
    """Whether trying again later may help: no connection, no answer in time, 429, or any 5xx."""
    if isinstance(error, MlflowException):
        return _not_now(int(error.get_http_status_code()))
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _not_now(error.response.status_code)
    return isinstance(error, requests.RequestException)


def _not_now(status: int) -> bool:
    return status >= SERVER_ERROR or status == TOO_MANY_REQUESTS
