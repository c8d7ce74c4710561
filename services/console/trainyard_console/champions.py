"""Registered models: who holds their aliases, what was decided about each version, and deciding."""

from functools import partial
from http import HTTPStatus
from urllib.parse import quote

from nicegui import ui
from trainyard.client import AsyncTrainyardClient
from trainyard.contract import ModelVersionInfo, RegisteredModel
from trainyard.errors import UnknownModel

from trainyard_console.frame import Page, frame, quiet_button, words
from trainyard_console.run import watch_of
from trainyard_console.verdict import in_words
from trainyard_console.words import moment, said


async def champions_page(page: Page) -> None:
    """All registered models, by pages."""
    with frame(page, "Champions"):
        watch = await page.asker()
        if watch is not None:
            await ModelList(page, watch.client).more()


class ModelList:
    """Registered models by name, with a button for more while there are more."""

    def __init__(self, page: Page, client: AsyncTrainyardClient) -> None:
        self._page, self._client = page, client
        self._cursor: str | None = None
        self._empty = words("p", "No model is registered yet: name one in a training's `register`.")
        self._list = ui.element("ul").classes("runs")
        self._more = ui.button("More", on_click=self.more)

    async def more(self) -> None:
        """List the next page."""
        found = await self._page.attempt(self._client.registered_models(cursor=self._cursor))
        if found is None:
            return
        self._cursor = found.cursor
        self._more.set_visibility(found.cursor is not None)
        with self._list:
            for model in found.models:
                _show_model(model)
        self._empty.set_visibility(not self._list.default_slot.children)


def _show_model(model: RegisteredModel) -> None:
    with ui.element("li").classes("run line"):
        ui.link(model.name, f"/champions/{quote(model.name, safe='')}").classes("text-weight-bold")
        for alias, version in model.aliases.items():
            ui.label(f"{alias}: version {version}")
        if not model.aliases:
            ui.label("nobody holds an alias").classes("quiet")


async def champion_page(page: Page, name: str) -> None:
    """One registered model."""
    with frame(page, name):
        watch = await page.asker()
        if watch is not None:
            await Champion(page, watch.client, name).show()


class Champion:
    """The versions of a registered model, the newest first."""

    def __init__(self, page: Page, client: AsyncTrainyardClient, name: str) -> None:
        self._page, self._client, self._name = page, client, name
        self._comment = ui.input("Comment, for the text of a decision").props("maxlength=1000")
        self._comment.style("max-width: 30rem")
        self._said = words("p", "").props('role=status aria-live="polite"')
        self._list = ui.element("ol").classes("runs")

    async def show(self) -> None:
        """The versions as they stand now."""
        versions = await self._page.attempt(self._versions())
        if versions is None:
            return
        self._list.clear()
        with self._list:
            for version in versions:
                self._show_version(version)

    async def _versions(self) -> list[ModelVersionInfo]:
        try:
            return await self._client.versions(self._name)
        except UnknownModel as error:
            self._page.client.status_code = HTTPStatus.NOT_FOUND
            self._said.text = said(error)
            return []

    def _show_version(self, version: ModelVersionInfo) -> None:
        with ui.element("li").classes("run"):
            with ui.element("div").classes("line"):
                ui.label(f"Version {version.version}").classes("text-weight-bold")
                ui.label(", ".join(version.aliases))
                if version.run_id:
                    ui.link(f"Run of version {version.version}", f"/runs/{version.run_id}")
                ui.label(f"registered {moment(version.registered_at)}").classes("push quiet")
            if version.metric and version.value is not None:
                words("p", _compared(version))
            for text in filter(None, (_decided(version), version.rolled_back)):
                words("p", text)
            with ui.element("div").classes("line"):
                self._make_buttons(version)

    def _make_buttons(self, version: ModelVersionInfo) -> None:
        run_id, named = version.run_id, f"version {version.version}"
        if run_id and version.judged:
            if not version.aliases:
                ui.button(f"Promote {named}", on_click=partial(self._decide, run_id, approved=True))
            quiet_button(f"Reject {named}", on_click=partial(self._decide, run_id, approved=False))
        for alias in version.aliases:
            quiet_button(
                f"Roll {alias} back", on_click=partial(self._roll_back, alias, version.version)
            )

    async def _decide(self, run_id: str, *, approved: bool) -> None:
        watch = await watch_of(self._page, run_id)
        if watch is None:
            self._said.text = "None of the services that answer has this version's run, and only that one can decide."
            return
        call = watch.client.promote(run_id, approved=approved, comment=self._why())
        if registered := await self._page.attempt(call):
            self._said.text = in_words(registered)
            await self.show()

    async def _roll_back(self, alias: str, holder: str) -> None:
        with ui.dialog() as dialog, ui.card():
            words("p", f"Give {alias} of {self._name} back to the version that held it before?")
            with ui.row():
                ui.button("Roll back", on_click=lambda: dialog.submit("yes"))
                quiet_button("Leave it", on_click=dialog.close)
        if await dialog != "yes":
            return
        call = self._client.rollback(self._name, alias=alias, holder=holder, comment=self._why())
        if registered := await self._page.attempt(call):
            self._said.text = in_words(registered)
            await self.show()

    def _why(self) -> str | None:
        return self._comment.value.strip() or None


def _compared(version: ModelVersionInfo) -> str:
    """The version's metric beside that of the holder it was compared with, both on the same rows."""
    own = f"{version.metric} {version.value:.5g}"
    if version.champion_value is None or version.champion_version is None:
        return own
    return f"{own}; version {version.champion_version}, the holder, has {version.champion_value:.5g} on the same rows"


def _decided(version: ModelVersionInfo) -> str | None:
    """What was decided, and when."""
    if version.decision is None or version.decided_at is None:
        return version.decision
    return f"{moment(version.decided_at)}: {version.decision}"
