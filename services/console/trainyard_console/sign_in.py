"""Sign-in by token: a plain form, which works before anything else of the page does."""

import asyncio
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import FastAPI, Form
from nicegui import ui
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from trainyard.api.slowing import Slowing
from trainyard.errors import TooManyWrongTokens, TrainyardError

from trainyard_console.frame import dressed, words
from trainyard_console.sessions import Sessions

WRONG, MANY, AWAY = "wrong", "many", "away"
SAID = {
    WRONG: "No service takes this token. `trainyard token list` says who has one.",
    MANY: "Too many wrong tokens have come. Wait a few seconds.",
    AWAY: "No service answers that could tell whether the token is right. Try again once one does.",
}
"""Why a sign-in failed, by the word in the page's address."""


class SignIn:
    """The page, and what its form and the button to sign out are sent to. Both are POSTs, which no foreign page may send."""

    def __init__(self, sessions: Sessions, slowing: Slowing | None = None) -> None:
        self._sessions = sessions
        self._slowing = slowing or Slowing()

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        ui.page("/sign-in")(self.page)
        app.post("/sign-in")(self.sign_in)
        app.post("/sign-out")(self.sign_out)

    async def page(self, next: str = "/", failed: str = "") -> None:  # noqa: A002 - as in the address
        """A field for the token."""
        dressed("Sign in")
        with (
            ui.element("div").classes("body"),
            ui.element("form").props("method=post action=/sign-in"),
        ):
            words("h1", "Trainyard")
            words(
                "p",
                "Sign in with your token, the one that `trainyard token add` printed, or the service's own.",
            )
            if failed in SAID:
                words("p", SAID[failed]).classes("bad").props("role=alert")
            ui.element("input").props("type=hidden name=next").props["value"] = _own(next)
            ui.input("Token", password=True).props(
                "name=token autocomplete=current-password autofocus outlined maxlength=500"
            ).style("max-width: 30rem")
            ui.button("Sign in").props("type=submit").classes("q-mt-md")

    async def sign_in(
        self,
        token: Annotated[str, Form(max_length=500)] = "",
        next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002
    ) -> Response:
        """Begin a session, or say why not; a wrong token waits in line with all other wrong ones."""
        token = token.strip()
        try:
            right = _can_be_sent(token) and await self._sessions.accepts(token)
        except TooManyWrongTokens:
            return _failed(MANY)
        except TrainyardError:
            return _failed(AWAY)
        if not right:
            return _failed(await self._wrong())
        response = RedirectResponse(_own(next), 303)
        await self._sessions.sign_in(token, response)
        return response

    async def _wrong(self) -> str:
        """What a wrong token is answered with, once it is its turn."""
        seconds = self._slowing.turn()
        if seconds is None:
            return MANY
        await asyncio.sleep(seconds)
        return WRONG

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        response = RedirectResponse("/sign-in", 303)
        await self._sessions.sign_out(request, response)
        return response


def _can_be_sent(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable()


def _failed(why: str) -> Response:
    return RedirectResponse(f"/sign-in?failed={why}", 303)


def _own(address: str) -> str:
    """The address, if it is a page of this console."""
    parts = urlsplit(address)
    own = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc
    return address if own else "/"
