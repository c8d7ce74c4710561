"""The token, checked before anything else of a call is looked at, its body above all.

What services ask each other is opened by a secret of their own, too, and by it nothing else is.
"""

import asyncio
import hmac

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from trainyard.api.problems import answer
from trainyard.api.slowing import Slowing
from trainyard.errors import RequestError, TooManyWrongTokens, Unauthorized
from trainyard.peers.services import PATHS
from trainyard.people.known import KnownPeople

DOCS_ASSETS = "/docs/assets"
OPEN_PATHS = frozenset({"/healthz", "/docs", "/openapi.json"})
"""And what lies below `DOCS_ASSETS`: the page that describes the API, where a person enters their token."""
FOR_PROBES = frozenset({"/readyz"})
"""What tells less to who shows no token, as the probes of a container's engine, than to who does."""
log = structlog.get_logger()


class RequireToken:
    """Answers every call without a known token with 401, except to `OPEN_PATHS`; says in `state.caller` whose it is.

    `FOR_PROBES` may be called without a token, and not with a wrong one.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        people: KnownPeople,
        between_services: str | None,
        slowing: Slowing | None = None,
    ) -> None:
        self.app = app
        self._people = people
        self._between_services = (between_services or "").encode()
        self._slowing = slowing or Slowing()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or refuse it."""
        if scope["type"] == "lifespan" or _is_open(scope["path"]):
            await self.app(scope, receive, send)
            return
        token = _token(scope)
        if not token and scope["path"] in FOR_PROBES:
            await self.app(scope, receive, send)
            return
        caller = self._people.caller(token) if token else None
        if caller is not None:
            scope.setdefault("state", {})["caller"] = caller
        elif not (token and self._from_a_service(scope["path"], token)):
            refusal = await self._refusal(scope) if token else Unauthorized()
            await answer(refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _from_a_service(self, path: str, token: bytes) -> bool:
        known = hmac.compare_digest(token, self._between_services)
        return path in PATHS and known and bool(self._between_services)

    async def _refusal(self, scope: Scope) -> RequestError:
        """What a wrong token is answered with, once it is its turn."""
        seconds = self._slowing.turn()
        if seconds is None:
            return TooManyWrongTokens()
        log.warning("a wrong token", address=(scope.get("client") or ["unknown"])[0])
        await asyncio.sleep(seconds)
        return Unauthorized()


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(f"{DOCS_ASSETS}/")


def _token(scope: Scope) -> bytes:
    """The bearer token, empty where there is none that can be told."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
    return bytes(token.strip()) if scheme.lower() == b"bearer" else b""
