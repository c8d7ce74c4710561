"""Every call of the HTTP API as a value: what is sent, and how the answer is read. Sends nothing itself."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from trainyard.contract import (
    Capacity,
    Curves,
    DataPreview,
    DatasetInfo,
    ModelInfo,
    ModelVersionInfo,
    Problem,
    Promotion,
    Registered,
    RegisteredModelPage,
    Rollback,
    Run,
    RunPage,
    RunRequest,
    RunStatus,
    ScoreRequest,
    TrainRequest,
    TrialPage,
    UsageReport,
    YardState,
)
from trainyard.errors import Invalid, RequestError, TrainyardError
from trainyard.field_errors import complaints

T = TypeVar("T")

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
"""A service that asks to be left alone for longer is asked again after this."""
TOO_MANY_REQUESTS = 429
GATEWAY_STATUSES = frozenset({502, 503, 504})
KEY = re.compile(r"[\x20-\x7e]{1,255}")
PROBLEMS: Mapping[str, type[RequestError]] = {
    each.type: each for each in RequestError.__subclasses__()
}


class Unreachable(TrainyardError):
    """The service does not answer."""

    retry_after_seconds: float | None = None


class ForeignAnswer(TrainyardError):
    """The answer is not one that a Trainyard service of this version gives."""


class Refused(RequestError):
    """The service refused for a reason that this client has no class for; `type` and `status` name it."""

    status: int  # type: ignore[misc]  # one class for many problems, so that each instance has its own
    type: str  # type: ignore[misc]
    title: str  # type: ignore[misc]

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail, problem.errors)
        self.status, self.type, self.title = problem.status, problem.type, problem.title


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how to read its answer."""

    method: str
    path: str
    answer: TypeAdapter[T] | None = None
    """What the body holds as JSON; None for plain text."""
    params: Mapping[str, str | float] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    held_seconds: float | None = 0.0
    """How long the service may hold its answer; None for ever."""
    accepts: frozenset[int] = frozenset()
    """Statuses that carry an answer besides 2xx."""

    def options(self) -> dict[str, Any]:
        """What httpx is to send."""
        read = None if self.held_seconds is None else ANSWER_SECONDS + self.held_seconds
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=read)
        return {
            "method": self.method,
            "url": self.path,
            "params": self.params,
            "headers": self.headers,
            "content": self.content,
            "timeout": timeout,
        }

    def read(self, response: httpx.Response) -> T:
        """The answer. Raises what the service refused with, or `ForeignAnswer`."""
        self.check(response)
        if self.answer is None:
            return cast("T", response.text)
        try:
            return self.answer.validate_json(response.content)
        except ValidationError as error:
            found = f"{response.request.url} answered {response.status_code} with something else than a Trainyard service of this version would"
            raise ForeignAnswer(found) from error

    def check(self, response: httpx.Response) -> None:
        """Raise the error that a response, which has been read, stands for, if it does."""
        if not response.is_success and not self._carries_an_answer(response):
            raise _refusal(response)

    def _carries_an_answer(self, response: httpx.Response) -> bool:
        media_type = response.headers.get("content-type", "").partition(";")[0]
        return response.status_code in self.accepts and media_type == "application/json"


def _refusal(response: httpx.Response) -> TrainyardError:
    """The error that a response stands for, with the `Retry-After` of this response."""
    error = _error_of(response)
    error.retry_after_seconds = _retry_after(response)
    return error


def _error_of(response: httpx.Response) -> RequestError | Unreachable:
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        found = f"{response.request.url} answered {response.status_code} {response.reason_phrase}"
        if response.status_code in GATEWAY_STATUSES:
            return Unreachable(found)
        return Refused(
            Problem(
                type="about:blank",
                title=response.reason_phrase,
                status=response.status_code,
                detail=f"{found}, and not as a Trainyard service would",
            )
        )
    known = PROBLEMS.get(problem.type)
    return known(problem.detail, problem.errors) if known else Refused(problem)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, which the header says as a number or as a date; None where it says neither."""
    said = response.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (zoned - datetime.now(UTC)).total_seconds())


def retry_after_seconds(error: BaseException) -> float:
    """How long the service asked to be left alone, at most `LONGEST_RETRY_AFTER_SECONDS`; 0 if it did not."""
    if not isinstance(error, RequestError | Unreachable):
        return 0.0
    return min(error.retry_after_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS)


def may_pass(error: BaseException) -> bool:
    """Whether the same question may be answered later."""
    if isinstance(error, RequestError):
        return (
            error.status == TOO_MANY_REQUESTS or error.status >= httpx.codes.INTERNAL_SERVER_ERROR
        )
    return isinstance(error, Unreachable)


RUN = TypeAdapter(Run)
RUN_PAGE = TypeAdapter(RunPage)
REGISTERED = TypeAdapter(Registered)
MODEL = TypeAdapter(ModelInfo)
MODELS = TypeAdapter(list[ModelInfo])
DATASETS = TypeAdapter(list[DatasetInfo])
PREVIEW = TypeAdapter(DataPreview)
YARD = TypeAdapter(YardState)
CURVES = TypeAdapter(Curves)
TRIALS = TypeAdapter(TrialPage)
REGISTERED_MODELS = TypeAdapter(RegisteredModelPage)
VERSIONS = TypeAdapter(list[ModelVersionInfo])
CAPACITY = TypeAdapter(Capacity)
USAGE = TypeAdapter(UsageReport)
FACTS = TypeAdapter(dict[str, Any])


def submit(
    request: TrainRequest | Mapping[str, Any],
    *,
    idempotency_key: str | None = None,
    wait_seconds: int | None = None,
) -> Call[Run]:
    """Submit a training; with `wait_seconds` (to 60) it is answered when the run ends or they passed."""
    return _submitted("/train", request, idempotency_key, wait_seconds)


def score(
    request: ScoreRequest | Mapping[str, Any],
    *,
    idempotency_key: str | None = None,
    wait_seconds: int | None = None,
) -> Call[Run]:
    """Submit a scoring; with `wait_seconds` (to 60) it is answered when the run ends or they passed."""
    return _submitted("/score", request, idempotency_key, wait_seconds)


def _trace() -> dict[str, str]:
    """The caller's span as W3C's `traceparent`, where the program uses OpenTelemetry, as Airflow's tasks may."""
    carrier: dict[str, str] = {}
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(carrier)
    return carrier


def _submitted(
    path: str,
    request: RunRequest | Mapping[str, Any],
    idempotency_key: str | None,
    wait_seconds: int | None,
) -> Call[Run]:
    body = request
    if isinstance(request, TrainRequest | ScoreRequest):
        body = request.model_dump(mode="json", by_alias=True, exclude_unset=True)
    headers = {"Content-Type": "application/json", **_trace()}
    if idempotency_key is not None:
        if not KEY.fullmatch(idempotency_key):
            raise Invalid.field(
                "/header/idempotency-key",
                f"{idempotency_key!r}: should be 1 to 255 printable ASCII characters",
            )
        headers["Idempotency-Key"] = idempotency_key
    if wait_seconds is not None:
        headers["Prefer"] = f"wait={wait_seconds}"
    return Call(
        "POST",
        path,
        RUN,
        headers=headers,
        content=json.dumps(body).encode(),
        held_seconds=wait_seconds or 0,
    )


def get(run_id: str, *, wait_seconds: float | None = None, since: int | None = None) -> Call[Run]:
    """The run as it stands; with `wait_seconds` (to 60) once it ended, or once its version is above `since`."""
    return Call(
        "GET",
        _run_path(run_id),
        RUN,
        params=_given(wait=wait_seconds, since=since),
        held_seconds=wait_seconds or 0,
    )


def outcome(run_id: str) -> Call[Run]:
    """The run as it ended. Raises `NotEnded` while it is under way."""
    return Call("GET", f"{_run_path(run_id)}/outcome", RUN)


def logs(run_id: str, *, tail: int | None = None) -> Call[str]:
    """What the run has printed so far, or its `tail` last lines."""
    return Call("GET", f"{_run_path(run_id)}/logs", params=_given(tail=tail))


def follow_logs(run_id: str, tail: int | None) -> Call[str]:
    """What the run prints until it ends; the answer is to be read as it comes."""
    return Call(
        "GET",
        f"{_run_path(run_id)}/logs",
        params=_given(tail=tail, follow="true"),
        held_seconds=None,
    )


def cancel(run_id: str) -> Call[Run]:
    """Cancel a run; an ended run stays as it ended."""
    return Call("DELETE", _run_path(run_id), RUN)


def promote(
    run_id: str, *, approved: bool = True, by: str | None = None, comment: str | None = None
) -> Call[Registered]:
    """Decide about a run that was judged, by its own rule; or reject it, which moves nothing and is said on the version.

    Raises `CannotPromote` and `ChampionChanged`.
    """
    fields = {"approved": approved, "by": by, "comment": comment}
    return _asking(f"{_run_path(run_id)}/promotion", Promotion, fields)


def rollback(
    name: str,
    *,
    alias: str = "champion",
    holder: str | None = None,
    by: str | None = None,
    comment: str | None = None,
) -> Call[Registered]:
    """Give the registered model's alias back to the version that held it before.

    Each call goes one holder further back; with `holder`, the version that is to lose the alias, it can be repeated.
    Raises `CannotPromote` where there is no earlier one, or another than `holder` has the alias.
    """
    fields = {"alias": alias, "holder": holder, "by": by, "comment": comment}
    return _asking(f"/registered-models/{quote(name, safe='')}/rollback", Rollback, fields)


def _asking(
    path: str, kind: type[Promotion | Rollback], fields: Mapping[str, Any]
) -> Call[Registered]:
    """A call about a version's alias, checked before it is sent. Raises `Invalid`."""
    try:
        word = kind.model_validate(fields)
    except ValidationError as error:
        raise Invalid(errors=complaints(error, kind)) from error
    return Call(
        "POST",
        path,
        REGISTERED,
        headers={"Content-Type": "application/json"},
        content=word.model_dump_json(exclude_none=True).encode(),
    )


def list_runs(
    *,
    status: RunStatus | None = None,
    model: str | None = None,
    experiment: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[RunPage]:
    """A page of the service's runs, newest first; `cursor` is the page before's."""
    return Call(
        "GET",
        "/train",
        RUN_PAGE,
        params=_given(
            status=status, model=model, experiment=experiment, limit=limit, cursor=cursor
        ),
    )


def yard(*, wait_seconds: float | None = None, since: int | None = None) -> Call[YardState]:
    """All that the service has in hand; with `wait_seconds` (to 60) once its version is another than `since`."""
    return Call(
        "GET",
        "/yard",
        YARD,
        params=_given(wait=wait_seconds, since=since),
        held_seconds=wait_seconds or 0,
    )


def curves(run_id: str) -> Call[Curves]:
    """What the run measured, round by round."""
    return Call("GET", f"{_run_path(run_id)}/curves", CURVES)


def trials(run_id: str, *, limit: int | None = None, cursor: str | None = None) -> Call[TrialPage]:
    """A page of the trials that the run's search has ended, the best first; `cursor` is the page before's."""
    return Call(
        "GET", f"{_run_path(run_id)}/trials", TRIALS, params=_given(limit=limit, cursor=cursor)
    )


def request(run_id: str) -> Call[dict[str, Any]]:
    """What was asked for, as JSON; without what gives access to its data."""
    return Call("GET", f"{_run_path(run_id)}/request", FACTS)


def registered_models(*, cursor: str | None = None) -> Call[RegisteredModelPage]:
    """A page of MLflow's registered models, by name; `cursor` is the page before's."""
    return Call("GET", "/registered-models", REGISTERED_MODELS, params=_given(cursor=cursor))


def versions(name: str) -> Call[list[ModelVersionInfo]]:
    """The newest versions of a registered model, and what was decided about each. Raises `UnknownModel`."""
    return Call("GET", f"/registered-models/{quote(name, safe='')}/versions", VERSIONS)


def models() -> Call[list[ModelInfo]]:
    """The models that the service trains."""
    return Call("GET", "/models", MODELS)


def model(name: str) -> Call[ModelInfo]:
    """A model, with the schema and defaults of its params and an example."""
    return Call("GET", f"/models/{quote(name, safe='')}", MODEL)


def datasets() -> Call[list[DatasetInfo]]:
    """The builtin data sets, and the files below the data roots."""
    return Call("GET", "/datasets", DATASETS)


def preview(data: Mapping[str, Any]) -> Call[DataPreview]:
    """What the first rows of data show, which is named as in a request's `data`; a table need not have a target."""
    return Call(
        "POST",
        "/datasets/preview",
        PREVIEW,
        headers={"Content-Type": "application/json"},
        content=json.dumps({"data": data}).encode(),
    )


def capacity() -> Call[Capacity]:
    """What the service has of slots, CPUs, GPUs and memory, which runs have it, and which wait for it."""
    return Call("GET", "/capacity", CAPACITY)


def usage(month: str | None = None) -> Call[UsageReport]:
    """What each team used in each month, or in one (`2026-11`), by runs that have ended."""
    return Call("GET", "/usage", USAGE, params=_given(month=month))


def ready() -> Call[dict[str, Any]]:
    """Whether the service would take a submit (`ready`), and what is in its way (`problems`)."""
    return Call("GET", "/readyz", FACTS, accepts=frozenset({503}))


def version() -> Call[dict[str, Any]]:
    """The versions of the service, Python, MLflow and the frameworks."""
    return Call("GET", "/version", FACTS)


def _run_path(run_id: str) -> str:
    return f"/train/{quote(run_id, safe='')}"


def _given(**values: str | float | None) -> dict[str, str | float]:
    return {name: value for name, value in values.items() if value is not None}
