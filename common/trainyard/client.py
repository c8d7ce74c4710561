"""Trainyard from Python: `TrainyardClient`, and `AsyncTrainyardClient` for the event loop.

What a call is, `Call` says once; the two clients only send it. Loads neither FastAPI nor MLflow nor pandas.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from trainyard import errors
from trainyard.contract import (
    DatasetInfo,
    ModelInfo,
    Problem,
    Run,
    RunPage,
    RunStatus,
    TrainRequest,
)

T = TypeVar("T")
HELD_SECONDS = 30
PAUSE_SECONDS = 1.0
DEFAULT_URL = "http://127.0.0.1:8001"


class Unreachable(errors.TrainyardError):
    """The service does not answer."""


class Refused(errors.RequestError):
    """The service refused the request in words this client does not know."""


PROBLEMS: Mapping[str, type[errors.RequestError]] = {
    each.type: each
    for each in (
        errors.Malformed, errors.Unauthorized, errors.UnknownRun, errors.NotEnded, errors.UnknownModel,
        errors.TooLarge, errors.Invalid, errors.KeyReused, errors.QueueFull, errors.Unavailable,
    )
}


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how to read its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    accepts: frozenset[int] = frozenset()
    """Statuses that are no error besides 2xx."""

    def answer(self, response: httpx.Response) -> T:
        """The answer as a value. Raises the `RequestError` that the service meant."""
        if response.is_success or response.status_code in self.accepts:
            return self.read(response)
        raise problem_of(response)


def problem_of(response: httpx.Response) -> errors.TrainyardError:
    """The error that a response stands for."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        text = f"{response.request.url} answered {response.status_code}, which is no Trainyard answer"
        return Unreachable(text) if response.is_server_error else Refused(text)
    return PROBLEMS.get(problem.type, Refused)(problem.detail, problem.errors)


def submit_call(request: TrainRequest | Mapping[str, Any], key: str | None, wait_seconds: int | None) -> Call[Run]:
    """`POST /train`."""
    body = request.model_dump_json(by_alias=True, exclude_unset=True).encode() if isinstance(request, TrainRequest) else json.dumps(request).encode()
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    if wait_seconds is not None:
        headers["Prefer"] = f"wait={wait_seconds}"
    return Call("POST", "/train", _run, headers=headers, body=body)


def run_call(run_id: str, *, wait_seconds: int | None = None, since: int | None = None) -> Call[Run]:
    """`GET /train/{run_id}`."""
    return Call("GET", f"/train/{run_id}", _run, params=_given(wait=wait_seconds, since=since))


def list_call(**filters: Any) -> Call[RunPage]:
    """`GET /train`."""
    return Call("GET", "/train", lambda response: RunPage.model_validate_json(response.content), params=_given(**filters))


class _Waiting:
    """How a wait goes on: what to ask next, whether it is over, how long to pause after a failure."""

    def __init__(self, run_id: str, timeout_seconds: float | None, on_change: Callable[[Run], None] | None) -> None:
        self._run_id = run_id
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._on_change = on_change
        self._version: int | None = None

    def next(self) -> Call[Run]:
        held = HELD_SECONDS if self._deadline is None else max(0, min(HELD_SECONDS, int(self._deadline - time.monotonic())))
        if self._version is None:
            return run_call(self._run_id)
        return run_call(self._run_id, wait_seconds=held, since=self._version if self._on_change else None)

    def over(self, run: Run) -> bool:
        if self._on_change and run.version != self._version:
            self._on_change(run)
        self._version = run.version
        return run.status.ended or self._late()

    def may_go_on(self, error: errors.TrainyardError) -> bool:
        return isinstance(error, (Unreachable, errors.Unavailable, errors.QueueFull)) and not self._late()

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline


class _Addressed:
    """Where the service is, and with which token."""

    def __init__(self, url: str | None = None, *, token: str | None = None) -> None:
        self.url = (url or os.environ.get("TRAINYARD_URL") or DEFAULT_URL).rstrip("/")
        token = token or os.environ.get("TRAINYARD_TOKEN")
        self._options: dict[str, Any] = {
            "base_url": self.url,
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "timeout": httpx.Timeout(90.0, connect=5.0),
        }

    def _unreachable(self, error: httpx.HTTPError) -> Unreachable:
        return Unreachable(f"{self.url} does not answer: {error or type(error).__name__}")


class TrainyardClient(_Addressed):
    """Calls a service and waits. The address is TRAINYARD_URL, the token TRAINYARD_TOKEN, unless given."""

    def __init__(self, url: str | None = None, *, token: str | None = None) -> None:
        super().__init__(url, token=token)
        self._http = httpx.Client(**self._options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Make a call. Raises `Unreachable` or the `RequestError` that the service meant."""
        try:
            return call.answer(self._http.request(call.method, call.path, params=call.params, headers=call.headers, content=call.body))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def submit(self, request: TrainRequest | Mapping[str, Any], *, idempotency_key: str | None = None, wait_seconds: int | None = None) -> Run:
        """Ask for a training; with `wait_seconds` (to 60) the answer waits for its end."""
        return self.send(submit_call(request, idempotency_key, wait_seconds))

    def get(self, run_id: str) -> Run:
        """The run as it stands."""
        return self.send(run_call(run_id))

    def wait(self, run_id: str, *, timeout_seconds: float | None = None, on_change: Callable[[Run], None] | None = None) -> Run:
        """The run once it ended, or as it stands after `timeout_seconds`. A service that restarts is waited for."""
        waiting = _Waiting(run_id, timeout_seconds, on_change)
        while True:
            try:
                run = self.send(waiting.next())
            except errors.TrainyardError as error:
                if not waiting.may_go_on(error):
                    raise
                time.sleep(PAUSE_SECONDS)
                continue
            if waiting.over(run):
                return run

    def outcome(self, run_id: str) -> Run:
        """The run as it ended. Raises `NotEnded`."""
        return self.send(Call("GET", f"/train/{run_id}/outcome", _run))

    def logs(self, run_id: str, *, tail: int | None = None) -> str:
        """What the run printed so far."""
        return self.send(Call("GET", f"/train/{run_id}/logs", lambda response: response.text, params=_given(tail=tail)))

    def follow_logs(self, run_id: str) -> Iterator[str]:
        """What the run prints, piece by piece, until it ends."""
        try:
            with self._http.stream("GET", f"/train/{run_id}/logs", params={"follow": "true"}) as response:
                if not response.is_success:
                    response.read()
                    raise problem_of(response)
                yield from response.iter_text()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def cancel(self, run_id: str) -> Run:
        """Ask the run to stop."""
        return self.send(Call("DELETE", f"/train/{run_id}", _run))

    def runs(self, *, status: RunStatus | None = None, model: str | None = None, experiment: str | None = None, limit: int | None = None, cursor: str | None = None) -> RunPage:
        """A page of runs, newest first."""
        return self.send(list_call(status=status, model=model, experiment=experiment, limit=limit, cursor=cursor))

    def models(self) -> list[ModelInfo]:
        """What the service trains."""
        return self.send(Call("GET", "/models", _models))

    def model(self, name: str) -> ModelInfo:
        """One model, with its params."""
        return self.send(Call("GET", f"/models/{name}", lambda response: ModelInfo.model_validate_json(response.content)))

    def datasets(self) -> list[DatasetInfo]:
        """The builtin data sets, and the files below the data roots."""
        return self.send(Call("GET", "/datasets", _datasets))

    def ready(self) -> dict[str, Any]:
        """Whether the service is ready, and what is not."""
        return self.send(Call("GET", "/readyz", _json, accepts=frozenset({503})))

    def version(self) -> dict[str, Any]:
        """The versions of all that matters."""
        return self.send(Call("GET", "/version", _json))


class AsyncTrainyardClient(_Addressed):
    """The calls that schedulers make, on the event loop."""

    def __init__(self, url: str | None = None, *, token: str | None = None) -> None:
        super().__init__(url, token=token)
        self._http = httpx.AsyncClient(**self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Make a call. Raises `Unreachable` or the `RequestError` that the service meant."""
        try:
            return call.answer(await self._http.request(call.method, call.path, params=call.params, headers=call.headers, content=call.body))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    async def submit(self, request: TrainRequest | Mapping[str, Any], *, idempotency_key: str | None = None, wait_seconds: int | None = None) -> Run:
        """Ask for a training; with `wait_seconds` (to 60) the answer waits for its end."""
        return await self.send(submit_call(request, idempotency_key, wait_seconds))

    async def get(self, run_id: str) -> Run:
        """The run as it stands."""
        return await self.send(run_call(run_id))

    async def wait(self, run_id: str, *, timeout_seconds: float | None = None, on_change: Callable[[Run], None] | None = None) -> Run:
        """The run once it ended, or as it stands after `timeout_seconds`. A service that restarts is waited for."""
        waiting = _Waiting(run_id, timeout_seconds, on_change)
        while True:
            try:
                run = await self.send(waiting.next())
            except errors.TrainyardError as error:
                if not waiting.may_go_on(error):
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if waiting.over(run):
                return run

    async def cancel(self, run_id: str) -> Run:
        """Ask the run to stop."""
        return await self.send(Call("DELETE", f"/train/{run_id}", _run))

    async def follow_logs(self, run_id: str) -> AsyncIterator[str]:
        """What the run prints, piece by piece, until it ends."""
        try:
            async with self._http.stream("GET", f"/train/{run_id}/logs", params={"follow": "true"}) as response:
                if not response.is_success:
                    await response.aread()
                    raise problem_of(response)
                async for text in response.aiter_text():
                    yield text
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error


def _run(response: httpx.Response) -> Run:
    return Run.model_validate_json(response.content)


def _models(response: httpx.Response) -> list[ModelInfo]:
    return TypeAdapter(list[ModelInfo]).validate_json(response.content)


def _datasets(response: httpx.Response) -> list[DatasetInfo]:
    return TypeAdapter(list[DatasetInfo]).validate_json(response.content)


def _json(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = response.json()
    return found


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
