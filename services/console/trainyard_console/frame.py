"""What every page has: the head with its links, what is said of services that do not answer."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from nicegui import Client, ui
from nicegui.elements.mixins.text_element import TextElement
from trainyard.errors import TrainyardError, Unauthorized

from trainyard_console.sessions import Session
from trainyard_console.watch import Watch
from trainyard_console.words import said

PLACES = (("Yard", "/"), ("Train", "/train"), ("Champions", "/champions"), ("Usage", "/usage"))
CSS = """
a { color: inherit; }
.body { max-width: 1600px; margin: 0 auto; padding: 12px 16px 48px; }
.run { list-style: none; border: 1px solid #8888; border-radius: 6px; padding: 8px 12px; margin: 6px 0; }
.runs { padding: 0; margin: 0; }
.line { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; }
.line > div:empty { display: none; }
.push { margin-left: auto; }
.quiet { color: #5a5a5a; } .body--dark .quiet { color: #b4b4b4; }
.bad { color: #b00020; } .body--dark .bad { color: #ff8a80; }
.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); column-gap: 24px; align-items: start; }
.wide { overflow-x: auto; }
table.facts { border-collapse: collapse; } .facts td, .facts th { text-align: left; padding: 2px 16px 2px 0; vertical-align: top; overflow-wrap: anywhere; } .facts th { overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 2rem; margin: 8px 0; } h2 { font-size: 1.15rem; line-height: 1.5rem; margin: 20px 0 4px; }
.nicegui-content { padding: 0; display: block; }
.body--dark .q-field { --q-primary: #8ab4f8; --q-negative: #ff8a80; }
.q-btn { text-transform: none; }
.nicegui-log { height: 22rem; }
"""
PATIENCE_SECONDS = 2.0
"""How long a page that is made of a service's answers waits for one that answers; NiceGUI gives a page three."""
T = TypeVar("T")
log = logging.getLogger(__name__)


class Page:
    """One open page: it hears of each change at a service, until it is closed or its token is refused."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.client: Client = ui.context.client
        self._views: list[Callable[[], None]] = []
        for watch in session.watches.values():
            watch.listen(self._changed)
        self.client.on_delete(self.close)

    def show(self, view: Callable[[], None]) -> None:
        """Show it now, and again with each change."""
        self._views.append(view)
        view()

    def close(self) -> None:
        """Hear no more."""
        for watch in self.session.watches.values():
            watch.leave(self._changed)

    def sign_in_again(self) -> None:
        """The token was revoked, or there is none."""
        self.close()
        self.client.open("/sign-in")

    async def asker(self) -> Watch | None:
        """A service that answers, for what all of them know; None where none does, which is said."""
        watch = await self.session.first_that_answers(PATIENCE_SECONDS)
        if watch is None:
            words("p", "No service answers; this page can be used once one does.")
        return watch

    def missing(self, title: str, why: str) -> None:
        """Be a page of nothing, with the status that says so."""
        self.client.status_code = HTTPStatus.NOT_FOUND
        with frame(self, title):
            words("p", why).classes("bad")

    async def attempt(self, call: Awaitable[T]) -> T | None:
        """What the call gives; None where it fails, which is said."""
        try:
            return await call
        except Unauthorized:
            self.sign_in_again()
        except TrainyardError as error:
            with self.client:
                ui.notify(said(error), type="negative", multi_line=True, timeout=15_000)
        return None

    def _changed(self) -> None:
        if self.session.refused:
            self.sign_in_again()
            return
        for view in self._views:
            try:
                with self.client:
                    view()
            except Exception:
                log.exception("a view could not be shown")


@contextmanager
def frame(page: Page, title: str) -> Iterator[None]:
    """The page's head; what is made within is its body."""
    dressed(title)
    with ui.element("header").classes("line q-px-md q-py-sm"), ui.element("nav").classes("line"):
        ui.label("Trainyard").classes("text-weight-bold")
        for name, path in PLACES:
            ui.link(name, path)
        if page.session.signed_in:
            with ui.element("form").props("method=post action=/sign-out"):
                quiet_button("Sign out").props("type=submit dense")
    with ui.element("div").classes("body"):
        words("h1", title)
        page.show(Services(page).show)
        yield


def words(tag: str, text: str) -> TextElement:
    """An element of HTML that holds text, which is shown as it is."""
    return TextElement(tag=tag, text=text)


def quiet_button(text: str, on_click: Callable[[], Any] | None = None) -> ui.button:
    """A button for what is not the page's first purpose, in the colour of text."""
    return ui.button(text, on_click=on_click, color=None).props("flat")


def dressed(title: str) -> None:
    """The page's title and its looks."""
    ui.page_title(f"{title} · Trainyard")
    ui.add_css(CSS)
    ui.colors(primary="#1f5fae", negative="#b00020", positive="#1b6e3a")


class Services:
    """A line for each service that does not answer, or has not yet."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._said: dict[str, str] = {}
        self._box = ui.element("div").props('role=status aria-live="polite"')

    def show(self) -> None:
        """Say it where it differs from what is said."""
        found = {}
        for watch in self._page.session.watches.values():
            if watch.problem:
                found[watch.name] = f"{watch.name} is away: {said(watch.problem)}"
            elif watch.state is None:
                found[watch.name] = f"{watch.name}: loading …"
        if found == self._said:
            return
        self._said = found
        self._box.clear()
        with self._box:
            for text in found.values():
                ui.label(text).classes("bad")
