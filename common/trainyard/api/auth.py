"""The token, checked before anything else of a call is looked at, its body above all.

What services ask each other is opened by a secret that is made of the token, too, and by it nothing else is.
"""

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from trainyard.api.problems import answer
from trainyard.errors import Unauthorized
from trainyard.peers.services import PATHS, peer_secret

OPEN_PATHS = frozenset({"/healthz"})


class RequireToken:
    """Answers every call without the right token with 401, except `/healthz`."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self.app = app
        self.secret = secret.encode()
        self.peer_secret = (peer_secret(secret) or "").encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or refuse it."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS or self._has_token(scope):
            await self.app(scope, receive, send)
        else:
            await answer(Unauthorized())(scope, receive, send)

    def _has_token(self, scope: Scope) -> bool:
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
        opens = [self.secret, *([self.peer_secret] if scope["path"] in PATHS else [])]
        known = [hmac.compare_digest(token.strip(), each) for each in opens]
        return any(known) and scheme.lower() == b"bearer"
