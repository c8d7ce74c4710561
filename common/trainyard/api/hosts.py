"""Host and Origin: what a browser says of where a call was meant to go, and of the page that sent it.

A page of anybody can have a browser post to an address on this machine, and by DNS rebinding, where the page's own name
comes to mean that address, read the answers too. The first shows in Origin, the second in Host.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from trainyard.api.problems import answer
from trainyard.errors import ForeignHost, ForeignOrigin, RequestError

NOBODYS_SUFFIXES = (".localhost", ".internal", ".cluster.local")
"""Names that nobody can have in the public DNS: this machine's, Docker's and Kubernetes's own."""
OPEN_PATHS = frozenset({"/healthz"})
LONGEST_SHOWN = 100


class KnownHosts:
    """Answers calls for another name, or from a page of another name, with 403.

    Whoever has a token is no foreign page, so a call with one may come by any name. `/healthz` is answered whatever the
    name is: it tells nothing. Addresses, names without a dot (of this machine, of a Compose service) and
    `NOBODYS_SUFFIXES` are known, and so are `own` names and those `allowed`: names, `*.example.com`, or `*` for any. Pages
    may send calls to their own host, and those of `allowed` names to all.
    """

    def __init__(self, app: ASGIApp, *, own: Iterable[str], allowed: Iterable[str]) -> None:
        self.app = app
        self._own = frozenset(own)
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or refuse it."""
        known = scope.get("state", {}).get("caller") is not None
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS or known:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host and not self._is_known(_name(f"//{host}")):
            refusal = ForeignHost(
                f"{host[:LONGEST_SHOWN]!r} is no name of this service; where it is one, add it to TRAINYARD_ALLOWED_HOSTS"
            )
            await _refuse(refusal, scope, receive, send)
        elif origin is not None and not self._may_send(origin, host):
            refused = ForeignOrigin(
                f"a page of {origin[:LONGEST_SHOWN]!r} may not call this service; where it may, add its host to TRAINYARD_ALLOWED_HOSTS"
            )
            await _refuse(refused, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _is_known(self, name: str) -> bool:
        if _is_an_address(name):
            return True
        nobodys = bool(name) and ("." not in name or name.endswith(NOBODYS_SUFFIXES))
        return nobodys or name in self._own or self._is_allowed(name)

    def _is_allowed(self, name: str) -> bool:
        wholes = {name, *(f"*.{name.split('.', n)[n]}" for n in range(1, name.count(".") + 1))}
        return "*" in self._allowed or not self._allowed.isdisjoint(wholes)

    def _may_send(self, origin: str, host: str) -> bool:
        """Whether the page is this service's own, or of a name that somebody allowed."""
        name = _name(origin)
        return bool(name) and (
            origin.partition("://")[2].lower() == host.lower() or self._is_allowed(name)
        )


async def _refuse(error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the problem; a WebSocket that is closed before it is accepted is answered 403 by the server."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await answer(error)(scope, receive, send)


def _name(address: str) -> str:
    """The host's name in an address, in lower case; empty where there is none that can be told."""
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_an_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
