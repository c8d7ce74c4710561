"""The two clients, blocking and asynchronous; what they can ask is in `calls.py`."""

import asyncio
import functools
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import httpx

from trainyard.client import calls
from trainyard.client.calls import Call, Unreachable
from trainyard.client.watch import Watch
from trainyard.contract import Run
from trainyard.errors import Invalid, TrainyardError, Unauthorized

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8001"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@functools.cache
def _trusted_authorities(trust_env: bool) -> ssl.SSLContext:
    """Read once a process: it takes 25 ms of the processor, and a console has a client for each person and service."""
    return httpx.create_ssl_context(trust_env=trust_env)


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
    def __get__(
        self, client: "AsyncTrainyardClient", owner: type
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self._build)
        def send(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(self._build(*args, **kwargs))

        return send


class Calls:
    """What both clients can ask, of the service at `url`, by default TRAINYARD_URL or the boosting service's.

    The token is TRAINYARD_TOKEN unless given; "" is none. A call raises the `RequestError` that the service answered,
    `Unreachable` when none came, `ForeignAnswer` when it cannot be understood.
    """

    submit = Endpoint(calls.submit)
    score = Endpoint(calls.score)
    get = Endpoint(calls.get)
    outcome = Endpoint(calls.outcome)
    logs = Endpoint(calls.logs)
    cancel = Endpoint(calls.cancel)
    promote = Endpoint(calls.promote)
    rollback = Endpoint(calls.rollback)
    list = Endpoint(calls.list_runs)
    models = Endpoint(calls.models)
    model = Endpoint(calls.model)
    datasets = Endpoint(calls.datasets)
    preview = Endpoint(calls.preview)
    capacity = Endpoint(calls.capacity)
    usage = Endpoint(calls.usage)
    yard = Endpoint(calls.yard)
    curves = Endpoint(calls.curves)
    trials = Endpoint(calls.trials)
    request = Endpoint(calls.request)
    registered_models = Endpoint(calls.registered_models)
    versions = Endpoint(calls.versions)
    ready = Endpoint(calls.ready)
    version = Endpoint(calls.version)

    def __init__(self, url: str | None = None, *, token: str | None = None) -> None:
        self.url = (url or os.environ.get("TRAINYARD_URL") or DEFAULT_URL).rstrip("/")
        self._token = (os.environ.get("TRAINYARD_TOKEN", "") if token is None else token).strip()

    def _options(self) -> dict[str, Any]:
        if not (self._token.isascii() and self._token.isprintable()):
            raise Unauthorized(
                "the token (TRAINYARD_TOKEN) should be of printable ASCII characters"
            )
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
        trust_env = host not in LOOPBACK
        verify = _trusted_authorities(trust_env)
        return {"base_url": address, "headers": headers, "trust_env": trust_env, "verify": verify}

    def _bad_address(self) -> Invalid:
        return Invalid(
            f"{self.url!r} (TRAINYARD_URL) is not the address of a service; one looks like {DEFAULT_URL}"
        )

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise Unreachable(
                f"{self.url} does not answer: {error or type(error).__name__}"
            ) from error


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
        self,
        run_id: str,
        *,
        timeout_seconds: float | None = None,
        on_change: Callable[[Run], None] | None = None,
        on_away: Callable[[TrainyardError], None] | None = None,
    ) -> Run:
        """The run once it ended, or as it stands after `timeout_seconds`.

        A service that is away or restarts is waited for, as long; `on_away` is told of each failed
        attempt, `on_change` of each change of the run. Raises what the last attempt did, if it failed.
        Where the service says `Retry-After`, it is left alone for as long, at most a minute.
        """
        return self.follow(_watch(run_id, timeout_seconds, on_change, on_away))

    def follow(self, watch: Watch) -> Run:
        """Ask what the watch wants to know until it is over; `wait` in more detail."""
        run = None
        while run is None:
            run = watch.saw(watch.patience.call(lambda: self.send(watch.next())))
            time.sleep(watch.pause_seconds)
        return run

    def follow_logs(self, run_id: str, *, tail: int | None = None) -> Iterator[str]:
        """The lines that the run prints, or printed, until it ends."""
        call = calls.follow_logs(run_id, tail)
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
        self,
        run_id: str,
        *,
        timeout_seconds: float | None = None,
        on_change: Callable[[Run], None] | None = None,
        on_away: Callable[[TrainyardError], None] | None = None,
    ) -> Run:
        """The run once it ended, or as it stands after `timeout_seconds`; see `TrainyardClient.wait`."""
        return await self.follow(_watch(run_id, timeout_seconds, on_change, on_away))

    async def follow(self, watch: Watch) -> Run:
        """Ask what the watch wants to know until it is over; `wait` in more detail."""
        run = None
        while run is None:
            run = watch.saw(await watch.patience.call_async(lambda: self.send(watch.next())))
            await asyncio.sleep(watch.pause_seconds)
        return run

    async def follow_logs(self, run_id: str, *, tail: int | None = None) -> AsyncIterator[str]:
        """The lines that the run prints, or printed, until it ends."""
        call = calls.follow_logs(run_id, tail)
        with self._reaching():
            async with self._http.stream(**call.options()) as response:
                if response.is_success:
                    async for line in response.aiter_lines():
                        yield line
                else:
                    await response.aread()
                    call.check(response)


def _watch(
    run_id: str,
    timeout_seconds: float | None,
    on_change: Callable[[Run], None] | None,
    on_away: Callable[[TrainyardError], None] | None,
) -> Watch:
    return Watch(
        run_id,
        deadline=None if timeout_seconds is None else time.time() + timeout_seconds,
        each_change=on_change is not None,
        on_change=on_change,
        on_away=on_away,
    )
