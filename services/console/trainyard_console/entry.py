"""Who gets to see a page: a dependency that each names. Whoever has to sign in first is led there."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from trainyard_console.sessions import Session, Sessions

FIRST_ANSWER_SECONDS = 0.2
"""How long a page waits for the services' first answers before it is shown as loading; one that is well needs a tenth of it."""


class MustSignIn(Exception):
    """There is no session, or a service does not take its token."""


async def _session(request: Request) -> AsyncIterator[Session]:
    """The session of who asks, whose watches have begun to look. Raises `MustSignIn`."""
    sessions: Sessions = request.app.state.sessions
    session = sessions.of(request)
    if session is None:
        raise MustSignIn
    watches = session.watches.values()
    for watch in watches:
        watch.listen(_look)
    try:
        answers = [asyncio.ensure_future(each.answered()) for each in watches]
        _, late = await asyncio.wait(answers, timeout=FIRST_ANSWER_SECONDS)
        for answer in late:
            answer.cancel()
        if session.refused:
            raise MustSignIn
        yield session
    finally:
        for watch in watches:
            watch.leave(_look)


TheSession = Annotated[Session, Depends(_session)]


def _look() -> None:
    """Looks on until the page does so itself."""


def install(app: FastAPI, sessions: Sessions) -> None:
    """Have pages find the sessions, and the way to the sign-in."""
    app.state.sessions = sessions

    @app.exception_handler(MustSignIn)
    async def _to_the_sign_in(request: Request, _: Exception) -> Response:
        return RedirectResponse(f"/sign-in?next={quote(request.url.path, safe='/')}", 303)
