"""Trying MLflow again: patiently while it is away, a few times while it answers and refuses."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import requests
from mlflow.exceptions import MlflowException
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_chain,
    wait_exponential,
    wait_fixed,
)

from trainyard.errors import TrackingUnavailable
from trainyard.tracking.availability import is_away

REFUSAL_PAUSES_SECONDS = (1.0, 4.0, 15.0, 30.0)
"""Pauses between the tries of a call that an answering MLflow cannot carry out: five tries in 50 seconds."""
LONGEST_ANSWER = 1000
T = TypeVar("T")


class Patience:
    """Makes calls that may fail because MLflow is away, or because its artifact store is broken.

    The two look alike (a 500, say), so after a failure MLflow is asked something else. An MLflow that
    does not answer is waited for, as long as `away_seconds`: outages pass. One that answers is tried
    again after each of `pauses`, and then the run ends: its slot is wanted by others.
    """

    def __init__(
        self,
        *,
        away_seconds: float,
        answers: Callable[[], bool],
        say: Callable[[str], object],
        pauses: Sequence[float] = REFUSAL_PAUSES_SECONDS,
    ) -> None:
        self._answers = answers
        self._say = say
        self._tries = len(pauses) + 1
        self._while_away = Retrying(
            retry=retry_if_exception_type(_Away),
            stop=stop_after_delay(away_seconds),
            wait=wait_exponential(0.2, 10),
        )
        self._while_refused = Retrying(
            retry=retry_if_exception_type(_Refused),
            stop=stop_after_attempt(self._tries) | stop_after_delay(away_seconds),
            wait=wait_chain(*map(wait_fixed, pauses)),
        )

    def __call__(self, call: Callable[[], T], refusal: str) -> T:
        """What the call gives. `refusal` says who refuses what, for people.

        Raises `TrackingUnavailable`, and as it is whatever has nothing to do with MLflow or its store.
        """
        try:
            return self._while_away(lambda: self._while_refused(lambda: self._once(call, refusal)))
        except RetryError as error:
            failure: Any = error.last_attempt.exception()
            raise TrackingUnavailable(failure.message) from failure.__cause__

    def _once(self, call: Callable[[], T], refusal: str) -> T:
        try:
            return call()
        except Exception as error:
            if not _may_pass(error):
                raise
            if not self._answers():
                raise _Away from error
            message = f"{refusal}: {_answer(error)}"
            self._say(message)
            raise _Refused(message) from error


class ArtifactStoreFailed(Exception):
    """An artifact store that is written to directly, not through MLflow, failed in its own way."""


class _Away(Exception):
    """MLflow does not answer."""

    message: str | None = None


class _Refused(Exception):
    """MLflow answers, and this call fails."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


def _may_pass(error: Exception) -> bool:
    """Whether the error comes from MLflow being away, or from its artifact store, whatever that answered.

    MLflow's client raises `HTTPError` for an artifact store's answers alone; its API's are MlflowExceptions.
    """
    return is_away(error) or isinstance(error, requests.HTTPError | ArtifactStoreFailed)


def _answer(error: Exception) -> str:
    """What was answered, short enough for a message."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.text.strip()[:LONGEST_ANSWER]}"
    text = error.message if isinstance(error, MlflowException) else str(error)
    return str(text)[:LONGEST_ANSWER]
