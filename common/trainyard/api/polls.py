"""The call that is made most, answered before any route is looked for: how a run stands, now or once that changed."""

import re
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from trainyard.api.dependencies import Context

PATH = re.compile(r"/train/([0-9a-f]{32})", re.ASCII)
HELD = re.compile(rb"wait=([1-9]|[1-5]\d|60)(?:&since=(\d{1,15}))?", re.ASCII)
"""As the clients write it; whatever else a query says is the route's to read."""


class Poll(NamedTuple):
    """What is asked: of which run, how long the answer may be held, and until which version is passed."""

    run_id: str
    wait: int = 0
    since: int | None = None


class Polls:
    """Answers `GET /train/{run_id}`, with `wait` and `since` too, for runs whose JSON is at hand; the route answers for all others.

    Whoever may call the service at all may read runs, so there is no role to check.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the call on."""
        poll = _asked(scope)
        content = await self._content(poll) if poll else None
        if content is None:
            await self._app(scope, receive, send)
        else:
            await Response(content, media_type="application/json")(scope, receive, send)

    async def _content(self, poll: Poll) -> bytes | None:
        runs = self._context.supervisor
        if poll.wait and runs.live_json(poll.run_id) is not None:
            await self._context.hold(runs.wait(poll.run_id, poll.wait, poll.since))
        return runs.live_json(poll.run_id)  # made once for all who ask


def _asked(scope: Scope) -> Poll | None:
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    named = PATH.fullmatch(scope["path"])
    held = HELD.fullmatch(scope["query_string"])
    if named is None or not (held or not scope["query_string"]):
        return None
    if held is None:
        return Poll(named[1])
    return Poll(named[1], int(held[1]), int(held[2]) if held[2] else None)
