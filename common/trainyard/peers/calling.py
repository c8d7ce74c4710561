"""One call of a service to another."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import httpx
from pydantic import BaseModel, ValidationError

from trainyard.contract import Problem
from trainyard.errors import TrainyardError
from trainyard.peers.services import Peers

CONNECT_SECONDS = 5.0
SERVER_ERROR = 500
TOO_MANY_REQUESTS = 429
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class PeerAway(TrainyardError):
    """The other service does not answer, or cannot now."""


class PeerRefused(TrainyardError):
    """The other service answers, and refuses."""

    def __init__(self, detail: str, type_: str) -> None:
        super().__init__(detail)
        self.type = type_


@contextmanager
def asked(
    peers: Peers, name: str, path: str, body: BaseModel, *, seconds: float
) -> Iterator[httpx.Response]:
    """The answer of the service `name`, to be read as it comes. Raises `PeerAway` and `PeerRefused`."""
    url = httpx.URL(peers.urls[name]).join(path)
    headers = {"Authorization": f"Bearer {peers.secret}"} if peers.secret else {}
    try:
        with _web(beyond=url.host not in LOOPBACK).stream(
            "POST",
            url,
            content=body.model_dump_json(by_alias=True, exclude_unset=True),
            headers={**headers, "Content-Type": "application/json"},
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        ) as answer:
            if not answer.is_success:
                raise _refusal(name, answer)
            yield answer
    except httpx.HTTPError as error:
        why = f"the service {name} at {peers.urls[name]} does not answer: {error or type(error).__name__}"
        raise PeerAway(why) from error


@cache
def _web(*, beyond: bool) -> httpx.Client:
    """Made once, because it reads the system's certificates; a connection for each call. Proxies are for what is `beyond` this machine."""
    return httpx.Client(trust_env=beyond, limits=httpx.Limits(max_keepalive_connections=0))


def _refusal(name: str, answer: httpx.Response) -> TrainyardError:
    try:
        problem = Problem.model_validate_json(answer.read())
        detail, kind = problem.detail, problem.type
    except ValidationError:
        detail, kind = f"{answer.status_code} {answer.reason_phrase}", "about:blank"
    said = f"the service {name} answers: {detail}"
    if answer.status_code >= SERVER_ERROR or answer.status_code == TOO_MANY_REQUESTS:
        return PeerAway(said)
    return PeerRefused(said, kind)
