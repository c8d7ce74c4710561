"""What was decided about a run's version, and the buttons by which a person decides."""

from nicegui import ui
from trainyard.client import AsyncTrainyardClient
from trainyard.contract import Registered, Run, RunStatus

from trainyard_console.frame import Page, quiet_button, words


class Verdict:
    """The version that a run registered; nothing where it has registered none."""

    def __init__(self, page: Page, client: AsyncTrainyardClient) -> None:
        self._page, self._client = page, client
        self._run_id = ""
        self._heading = words("h2", "Version")
        self._said = words("p", "")
        with ui.element("div").classes("line") as self._buttons:
            self._comment = ui.input("Comment").props("dense maxlength=1000")
            ui.button("Promote", on_click=lambda: self._decide(approved=True))
            quiet_button("Reject", on_click=lambda: self._decide(approved=False))
        self._decided: Registered | None = None

    def show(self, run: Run) -> None:
        """What became of the run's version, as it was last heard of."""
        self._run_id = run.run_id
        registered = self._decided or run.registered
        self._heading.set_visibility(registered is not None)
        asks = registered is not None and registered.decision is not None
        self._buttons.set_visibility(asks and run.status is RunStatus.FINISHED)
        if registered is not None:
            self._said.text = in_words(registered)

    async def _decide(self, *, approved: bool) -> None:
        word = self._client.promote(
            self._run_id, approved=approved, comment=self._comment.value.strip() or None
        )
        self._decided = await self._page.attempt(word) or self._decided
        if self._decided:
            self._said.text = in_words(self._decided)


def in_words(registered: Registered) -> str:
    """Such as "Version 3 of bank-xgb, champion: promoted, …"."""
    holds = f", {' and '.join(registered.aliases)}" if registered.aliases else ""
    decision = f": {registered.decision}" if registered.decision else ""
    return f"Version {registered.version} of {registered.name}{holds}{decision}"
