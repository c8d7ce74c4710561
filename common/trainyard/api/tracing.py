"""A call that belongs to somebody's trace: its `traceparent` is there while the call is answered."""

from opentelemetry import context
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from trainyard.supervisor.traces import PROPAGATOR


class Traced:
    """Makes the span that W3C's `traceparent` names the current one; one that is malformed is no trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the call within the caller's trace."""
        if scope["type"] != "http" or "traceparent" not in (headers := Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        token = context.attach(PROPAGATOR.extract(headers))
        try:
            await self._app(scope, receive, send)
        finally:
            context.detach(token)
