"""Trainyard from Python: `TrainyardClient`, and `AsyncTrainyardClient` for an event loop.

What a call sends and how its answer reads is said once, by the functions that build a `Call`; the two
clients only send it. Loads neither FastAPI nor MLflow nor pandas.
"""

import asyncio
import functools
import json
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, Self, TypeVar, cast, overload
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_random_exponential

from trainyard.contract import (
    DatasetInfo,
    ModelInfo,
    Problem,
    Run,
    RunPage,
    RunStatus,
    TrainRequest,
)
from trainyard.errors import Invalid, RequestError, TrainyardError, Unauthorized

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8001"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
HELD_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 10.0
UNCHANGED_PAUSE_SECONDS = 0.5
TOO_MANY_REQUESTS = 429
GATEWAY_STATUSES = frozenset({502, 503, 504})
KEY = re.compile(r"[\x20-\x7e]{1,255}")
PROBLEMS: Mapping[str, type[RequestError]] = {each.type: each for each in RequestError.__subclasses__()}


class Unreachable(TrainyardError):
    """The service does not answer."""


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
            "method": self.method, "url": self.path, "params": self.params, "headers": self.headers,
            "content": self.content, "timeout": timeout,
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
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        found = f"{response.request.url} answered {response.status_code} {response.reason_phrase}"
        if response.status_code in GATEWAY_STATUSES:
            return Unreachable(found)
        detail = f"{found}, and not as a Trainyard service would"
        return Refused(Problem(type="about:blank", title=response.reason_phrase, status=response.status_code, detail=detail))
    known = PROBLEMS.get(problem.type)
    return known(problem.detail, problem.errors) if known else Refused(problem)


RUN = TypeAdapter(Run)
RUN_PAGE = TypeAdapter(RunPage)
MODEL = TypeAdapter(ModelInfo)
MODELS = TypeAdapter(list[ModelInfo])
DATASETS = TypeAdapter(list[DatasetInfo])
FACTS = TypeAdapter(dict[str, Any])


def submit(
    request: TrainRequest | Mapping[str, Any], *, idempotency_key: str | None = None, wait_seconds: int | None = None
) -> Call[Run]:
    """Submit a training; with `wait_seconds` (to 60) it is answered when the run ends or they passed."""
    body = request
    if isinstance(request, TrainRequest):
        body = request.model_dump(mode="json", by_alias=True, exclude_unset=True)
    headers = {"Content-Type": "application/json"}
    if idempotency_key is not None:
        if not KEY.fullmatch(idempotency_key):
            raise Invalid.field("/header/idempotency-key", f"{idempotency_key!r}: should be 1 to 255 printable ASCII characters")
        headers["Idempotency-Key"] = idempotency_key
    if wait_seconds is not None:
        headers["Prefer"] = f"wait={wait_seconds}"
    return Call("POST", "/train", RUN, headers=headers, content=json.dumps(body).encode(), held_seconds=wait_seconds or 0)


def get(run_id: str, *, wait_seconds: float | None = None, since: int | None = None) -> Call[Run]:
    """The run as it stands; with `wait_seconds` (to 60) once it ended, or once its version is above `since`."""
    return Call("GET", _run_path(run_id), RUN, params=_given(wait=wait_seconds, since=since), held_seconds=wait_seconds or 0)


def outcome(run_id: str) -> Call[Run]:
    """The run as it ended. Raises `NotEnded` while it is under way."""
    return Call("GET", f"{_run_path(run_id)}/outcome", RUN)


def logs(run_id: str, *, tail: int | None = None) -> Call[str]:
    """What the run has printed so far, or its `tail` last lines."""
    return Call("GET", f"{_run_path(run_id)}/logs", params=_given(tail=tail))


def cancel(run_id: str) -> Call[Run]:
    """Cancel a run; an ended run stays as it ended."""
    return Call("DELETE", _run_path(run_id), RUN)


def list_runs(
    *, status: RunStatus | None = None, model: str | None = None, experiment: str | None = None,
    limit: int | None = None, cursor: str | None = None,
) -> Call[RunPage]:
    """A page of the service's runs, newest first; `cursor` is the page before's."""
    return Call("GET", "/train", RUN_PAGE, params=_given(status=status, model=model, experiment=experiment, limit=limit, cursor=cursor))


def models() -> Call[list[ModelInfo]]:
    """The models that the service trains."""
    return Call("GET", "/models", MODELS)


def model(name: str) -> Call[ModelInfo]:
    """A model, with the schema and defaults of its params and an example."""
    return Call("GET", f"/models/{quote(name, safe='')}", MODEL)


def datasets() -> Call[list[DatasetInfo]]:
    """The builtin data sets, and the files below the data roots."""
    return Call("GET", "/datasets", DATASETS)


def ready() -> Call[dict[str, Any]]:
    """Whether the service would take a submit (`ready`), and what is in its way (`problems`)."""
    return Call("GET", "/readyz", FACTS, accepts=frozenset({503}))


def version() -> Call[dict[str, Any]]:
    """The versions of the service, Python, MLflow and the frameworks."""
    return Call("GET", "/version", FACTS)


def _following(run_id: str, tail: int | None) -> Call[str]:
    return Call("GET", f"{_run_path(run_id)}/logs", params=_given(tail=tail, follow="true"), held_seconds=None)


def _run_path(run_id: str) -> str:
    return f"/train/{quote(run_id, safe='')}"


def _given(**values: str | float | None) -> dict[str, str | float]:
    return {name: value for name, value in values.items() if value is not None}


class Endpoint(Generic[P, T]):
    """A method of both clients, made of the function that builds its call."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: "TrainyardClient", owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: "AsyncTrainyardClient", owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self._build)
        def send(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(self._build(*args, **kwargs))

        return send


class Calls:
    """What both clients can ask, of the service at `url`, by default TRAINYARD_URL or the boosting service's.

    The token is TRAINYARD_TOKEN unless given. A call raises the `RequestError` that the service answered,
    `Unreachable` when none came, `ForeignAnswer` when it cannot be understood.
    """

    submit = Endpoint(submit)
    get = Endpoint(get)
    outcome = Endpoint(outcome)
    logs = Endpoint(logs)
    cancel = Endpoint(cancel)
    list = Endpoint(list_runs)
    models = Endpoint(models)
    model = Endpoint(model)
    datasets = Endpoint(datasets)
    ready = Endpoint(ready)
    version = Endpoint(version)

    def __init__(self, url: str | None = None, *, token: str | None = None) -> None:
        self.url = (url or os.environ.get("TRAINYARD_URL") or DEFAULT_URL).rstrip("/")
        self._token = (token or os.environ.get("TRAINYARD_TOKEN") or "").strip()

    def _options(self) -> dict[str, Any]:
        if not (self._token.isascii() and self._token.isprintable()):
            raise Unauthorized("the token (TRAINYARD_TOKEN) should be of printable ASCII characters")
        try:
            address = httpx.URL(self.url)
            host = address.host
            host.encode("idna")  # as the resolver will
        except (httpx.InvalidURL, UnicodeError) as error:
            raise self._bad_address() from error
        if address.scheme not in {"http", "https"} or not host:
            raise self._bad_address()
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        # A proxy that the environment names cannot know what listens on this machine.
        return {"base_url": address, "headers": headers, "trust_env": host not in LOOPBACK}

    def _bad_address(self) -> Invalid:
        return Invalid(f"{self.url!r} (TRAINYARD_URL) is not the address of a service; one looks like {DEFAULT_URL}")

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} does not answer: {error or type(error).__name__}") from error


class Watch:
    """A wait for a run's end: what to ask next, and how long to pause. Asks nothing itself."""

    def __init__(
        self, run_id: str, *, timeout_seconds: float | None,
        on_change: Callable[[Run], None] | None, on_away: Callable[[TrainyardError], None] | None,
    ) -> None:
        self.pause_seconds = 0.0
        self._run_id = run_id
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._on_change, self._on_away = on_change, on_away
        self._run: Run | None = None
        self._lost = True
        self._backoff = wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE_SECONDS)

    @property
    def patience(self) -> dict[str, Any]:
        """The settings of tenacity's retrying, sync or not."""
        return {
            "retry": retry_if_exception(may_pass), "wait": self._pause, "stop": self._is_late,
            "before_sleep": self._on_failure, "reraise": True,
        }

    def next(self) -> Call[Run]:
        """The next call: at once at first and after a failure, else held until something changed."""
        self._asked_at = time.monotonic()
        if self._run is None or self._lost:
            return get(self._run_id)
        return get(self._run_id, wait_seconds=min(HELD_SECONDS, self._left()), since=self._run.version if self._on_change else None)

    def saw(self, run: Run) -> Run | None:
        """Take the answer; the run is given back when the wait is over."""
        changed = self._run is None or run != self._run
        # A service that is stopping or starting does not hold its answers.
        held = self._lost or time.monotonic() - self._asked_at >= UNCHANGED_PAUSE_SECONDS
        self._run, self._lost = run, False
        if changed and self._on_change:
            self._on_change(run)
        self.pause_seconds = 0.0 if changed or held else min(UNCHANGED_PAUSE_SECONDS, self._left())
        return run if run.status.ended or self._left() <= 0 else None

    def _left(self) -> float:
        return float("inf") if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _is_late(self, _: RetryCallState) -> bool:
        return self._left() <= 0

    def _pause(self, state: RetryCallState) -> float:
        return min(self._backoff(state), self._left())

    def _on_failure(self, state: RetryCallState) -> None:
        self._lost = True
        error = state.outcome.exception() if state.outcome else None
        if self._on_away and isinstance(error, TrainyardError):
            self._on_away(error)


def may_pass(error: BaseException) -> bool:
    """Whether the same question may be answered later."""
    if isinstance(error, RequestError):
        return error.status == TOO_MANY_REQUESTS or error.status >= httpx.codes.INTERNAL_SERVER_ERROR
    return isinstance(error, Unreachable)


class TrainyardClient(Calls):
    """Calls a service, and waits."""

    def __init__(self, url: str | None = None, *, token: str | None = None) -> None:
        super().__init__(url, token=token)
        self._http = httpx.Client(**self._options())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Make a call."""
        with self._reaching():
            return call.read(self._http.request(**call.options()))

    def wait(
        self, run_id: str, *, timeout_seconds: float | None = None,
        on_change: Callable[[Run], None] | None = None, on_away: Callable[[TrainyardError], None] | None = None,
    ) -> Run:
        """The run once it ended, or as it stands after `timeout_seconds`.

        A service that is away or restarts is waited for, as long; `on_away` is told of each failed
        attempt, `on_change` of each change of the run. Raises what the last attempt did, if it failed.
        """
        watch = Watch(run_id, timeout_seconds=timeout_seconds, on_change=on_change, on_away=on_away)
        patiently = Retrying(**watch.patience)
        run = None
        while run is None:
            run = watch.saw(patiently(lambda: self.send(watch.next())))
            time.sleep(watch.pause_seconds)
        return run

    def follow_logs(self, run_id: str, *, tail: int | None = None) -> Iterator[str]:
        """The lines that the run prints, or printed, until it ends."""
        call = _following(run_id, tail)
        with self._reaching(), self._http.stream(**call.options()) as response:
            if response.is_success:
                yield from response.iter_lines()
            else:
                response.read()
                call.check(response)


class AsyncTrainyardClient(Calls):
    """Calls a service, and waits, without holding up the event loop."""

    def __init__(self, url: str | None = None, *, token: str | None = None) -> None:
        super().__init__(url, token=token)
        self._http = httpx.AsyncClient(**self._options())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Make a call."""
        with self._reaching():
            return call.read(await self._http.request(**call.options()))

    async def wait(
        self, run_id: str, *, timeout_seconds: float | None = None,
        on_change: Callable[[Run], None] | None = None, on_away: Callable[[TrainyardError], None] | None = None,
    ) -> Run:
        """The run once it ended, or as it stands after `timeout_seconds`; see `TrainyardClient.wait`."""
        watch = Watch(run_id, timeout_seconds=timeout_seconds, on_change=on_change, on_away=on_away)
        patiently = AsyncRetrying(**watch.patience)

        async def ask() -> Run:
            return await self.send(watch.next())

        run = None
        while run is None:
            run = watch.saw(await patiently(ask))
            await asyncio.sleep(watch.pause_seconds)
        return run

    async def follow_logs(self, run_id: str, *, tail: int | None = None) -> AsyncIterator[str]:
        """The lines that the run prints, or printed, until it ends."""
        call = _following(run_id, tail)
        with self._reaching():
            async with self._http.stream(**call.options()) as response:
                if response.is_success:
                    async for line in response.aiter_lines():
                        yield line
                else:
                    await response.aread()
                    call.check(response)
