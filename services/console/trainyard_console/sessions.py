"""Who is signed in: a signed cookie names a session, and the session holds the person's token, here alone."""

import asyncio
import math
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from itsdangerous import BadSignature, TimestampSigner
from starlette.requests import Request
from starlette.responses import Response
from trainyard.client import AsyncTrainyardClient
from trainyard.client.calls import version
from trainyard.errors import TooManyWrongTokens, TrainyardError, Unauthorized

from trainyard_console.settings import Settings
from trainyard_console.watch import Watch

COOKIE = "trainyard_session"
LONGEST_SECONDS = 7 * 24 * 3600


@dataclass
class Session:
    """One person's, or that of all who need no token."""

    id: str
    watches: dict[str, Watch]
    """By the service's name."""
    signed_in: bool
    ends_at: float = math.inf

    @property
    def refused(self) -> bool:
        """Whether it is over, or a service does not take its token: then the person has to sign in."""
        return time.time() > self.ends_at or any(watch.refused for watch in self.watches.values())

    async def first_that_answers(self, seconds: float) -> Watch | None:
        """A service that answers, as soon as one does; None where none has after so many seconds."""
        answers = {asyncio.ensure_future(each.answered()) for each in self.watches.values()}
        late = answers
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while late and self._answering() is None:
                    _, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
        for answer in answers:
            answer.cancel()
        return self._answering()

    def _answering(self) -> Watch | None:
        watches = self.watches.values()
        return next((each for each in watches if each.state and not each.problem), None)

    def client(self, service: str) -> AsyncTrainyardClient:
        """Speaks to the service as this person."""
        return self.watches[service].client


class Sessions:
    """All that are signed in. A restart of the console signs everybody out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._signer = TimestampSigner(settings.secret(), salt=COOKIE)
        self._sessions: dict[str, Session] = {}
        self.nobody = self._made("")

    def of(self, request: Request) -> Session | None:
        """The session of who asks; None where they have to sign in first."""
        session = self._named(request.cookies.get(COOKIE, ""))
        if session is None and not self._settings.reachable_by_others:
            session = self.nobody
        return None if session is None or (session.signed_in and session.refused) else session

    async def accepts(self, token: str) -> bool:
        """Whether a service takes the token. Raises `TooManyWrongTokens`, or `Unreachable` and the like where none can tell."""
        calls = (self._takes(service, token) for service, _ in self._settings.services)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        errors = [each for each in answers if isinstance(each, TrainyardError)]
        if True in answers or any(isinstance(each, Unauthorized) for each in errors):
            return True in answers
        raise next((each for each in errors if isinstance(each, TooManyWrongTokens)), errors[0])

    async def sign_in(self, token: str, response: Response) -> None:
        """Begin a session, with an id of its own, whatever the browser had before."""
        for old in [each for each in self._sessions.values() if each.refused]:
            await self._end(old)
        session = self._made(token)
        session.ends_at = time.time() + LONGEST_SECONDS
        self._sessions[session.id] = session
        response.set_cookie(
            COOKIE,
            self._signer.sign(session.id).decode(),
            max_age=LONGEST_SECONDS,
            httponly=True,
            samesite="strict",
        )

    async def sign_out(self, request: Request, response: Response) -> None:
        """End the session of who asks."""
        if session := self._named(request.cookies.get(COOKIE, "")):
            await self._end(session)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    async def _end(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        for watch in session.watches.values():
            await watch.close()

    def _named(self, cookie: str) -> Session | None:
        try:
            name = self._signer.unsign(cookie, max_age=LONGEST_SECONDS).decode()
        except BadSignature:
            return None
        return self._sessions.get(name)

    def _made(self, token: str) -> Session:
        watches = {
            name: Watch(name, AsyncTrainyardClient(url, token=token))
            for name, url in self._settings.services
        }
        return Session(secrets.token_urlsafe(32), watches, signed_in=bool(token))

    async def _takes(self, service: str, token: str) -> bool:
        """Whether the service takes the token; where others reach the console, one that takes none as well does not count."""
        stranger = self.nobody.client(service)
        await stranger.send(replace(version(), headers={"Authorization": f"Bearer {token}"}))
        if not self._settings.reachable_by_others:
            return True
        try:
            await stranger.version()
        except Unauthorized:
            return True
        raise TrainyardError(f"{service} asks for no token, and others than you reach this console")
