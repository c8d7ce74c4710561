"""One run: how it stands, what it measures and prints, how it came there, and what can be done about it."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

from nicegui import background_tasks, ui
from trainyard.contract import AIRFLOW_TASK, Run, RunKind, steps
from trainyard.errors import TrainyardError, Unauthorized, UnknownRun

from trainyard_console import facts
from trainyard_console.charts import Charts
from trainyard_console.facts import Facts
from trainyard_console.frame import PATIENCE_SECONDS, Page, frame, quiet_button, words
from trainyard_console.logs import LOG_LINES
from trainyard_console.rows import Row
from trainyard_console.snippets import snippets
from trainyard_console.trials import Trials
from trainyard_console.verdict import Verdict
from trainyard_console.watch import Watch
from trainyard_console.words import ADVICE, duration, moment, phase_in_words, said


async def run_page(page: Page, service: str, run_id: str) -> None:
    """The page; of a run that is not there, or cannot be asked for, a sentence."""
    watch = page.session.watches.get(service)
    if watch is None:
        page.missing("No such service", f"{service!r} is none of this console's services.")
        return
    try:
        run = watch.find(run_id) or await _fetched(watch, run_id)
    except Unauthorized:
        page.sign_in_again()
        return
    except UnknownRun as error:
        page.missing("No such run", said(error))
        return
    except TrainyardError as error:
        with frame(page, "A run that cannot be shown now"):
            words("p", said(error)).classes("bad")
        return
    with frame(page, run.run_name):
        view = RunView(page, watch, run)
    await view.fill()


async def _fetched(watch: Watch, run_id: str) -> Run:
    """The run as its service has it. Raises `TrainyardError`, also where the service takes longer than a page can wait."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await watch.client.get(run_id)
    except TimeoutError as error:
        late = f"{watch.name} has not answered in {PATIENCE_SECONDS:.0f} s"
        raise TrainyardError(late) from error


async def run_of_some_service(page: Page, run_id: str) -> None:
    """The page of a run whose service the address does not name."""
    watch = await watch_of(page, run_id)
    if watch is not None:
        await run_page(page, watch.name, run_id)
        return
    page.missing("No such run", f"None of the services that answer has the run {run_id!r}.")


async def watch_of(page: Page, run_id: str) -> Watch | None:
    """Of the service that has the run; None where none of those that answer has it."""
    watches = list(page.session.watches.values())
    found = await asyncio.gather(
        *(each.client.get(run_id) for each in watches), return_exceptions=True
    )
    return next(
        (each for each, run in zip(watches, found, strict=True) if isinstance(run, Run)), None
    )


class RunView:
    """The run as it stands, from the watch while that knows it, and as it was fetched where it does not."""

    def __init__(self, page: Page, watch: Watch, run: Run) -> None:
        self._page, self._watch, self._run = page, watch, run
        self._asked: dict[str, Any] = {}
        with ui.element("ul").classes("runs"):
            self._row = Row(watch.name, run)
        self._why = words("p", "").classes("bad")
        self._make_buttons()
        self._charts = Charts()
        self._time_line = TimeLine()
        with ui.element("div").classes("columns"):
            self._facts = self._made_facts()
        self._trials = Trials(watch.client, run.run_id)
        self._verdict = Verdict(page, watch.client)
        words("h2", "Request")
        self._request = ui.element("div")
        words("h2", "Log")
        self._log = ui.log(max_lines=LOG_LINES).props('tabindex=0 role=log aria-label="log"')
        page.show(self.show)
        ui.timer(1.0, self._time_line.tick)

    def _made_facts(self) -> list[Facts]:
        return [
            Facts("Metrics", facts.metrics),
            Facts("Search", facts.searched),
            Facts("Warnings", facts.warnings),
            Facts("Params", lambda _: self._asked.get("params", {})),
            Facts("Room", lambda run: facts.placed(self._watch.share(run.run_id))),
            Facts("Hosts", facts.hosts),
            Facts("Used", facts.used),
            Facts("Run", facts.of_run),
        ]

    async def fill(self) -> None:
        """What is asked for once: curves, the request, the log."""
        logs, run_id = self._watch.logs, self._run.run_id
        logs.read(run_id, self._log.push)
        self._page.client.on_delete(partial(logs.leave, run_id, self._log.push))
        await asyncio.gather(self._fetch_curves(), self._fetch_request())

    def show(self) -> None:
        """As it stands now."""
        before, self._run = self._run, self._watch.find(self._run.run_id) or self._run
        run = self._run
        self._row.show(run)
        self._why.text = ADVICE.get(run.reason, "") if run.reason else ""
        self._cancel.set_visibility(not run.status.ended)
        self._time_line.show(run)
        self._verdict.show(run)
        self._trials.show(run)
        for each in self._facts:
            each.show(run)
        self._charts.grow(run)
        if run.status.ended and not before.status.ended:
            background_tasks.create(self._fetch_curves())

    def _make_buttons(self) -> None:
        run = self._run
        with ui.dialog() as dialog, ui.card():
            words(
                "p",
                f"Cancel {run.run_name}? What it has trained since its last checkpoint is lost.",
            )
            with ui.row():
                ui.button("Cancel the run", on_click=lambda: dialog.submit("yes"))
                quiet_button("Let it go on", on_click=dialog.close)

        async def cancel() -> None:
            if await dialog == "yes":
                await self._page.attempt(self._watch.client.cancel(run.run_id))

        with ui.element("div").classes("line"):
            self._cancel = ui.button("Cancel …", on_click=cancel).props("color=negative")
            if run.kind is RunKind.TRAIN:
                ui.link(
                    "Train again with changes",
                    f"/train?service={self._watch.name}&run={run.run_id}",
                )
            ui.link("In MLflow", run.links.mlflow, new_tab=True)
            self._links = ui.element("div").classes("line")

    async def _fetch_curves(self) -> None:
        curves = await self._page.attempt(self._watch.client.curves(self._run.run_id))
        if curves:
            self._charts.show(curves.metrics)

    async def _fetch_request(self) -> None:
        try:
            request = await self._watch.client.request(self._run.run_id)
        except TrainyardError as error:
            with self._request:
                words("p", said(error))
            return
        self._asked = request
        with self._request:
            _show_request(
                snippets(self._watch.name, self._watch.client.url, self._run.kind, request)
            )
        if task := _of_the_web(request.get("tags", {}).get(AIRFLOW_TASK, "")):
            with self._links:
                ui.link("In Airflow", task, new_tab=True)
        self.show()


def _of_the_web(address: str) -> str | None:
    """An address that may be a link: what a caller wrote may be a script."""
    return address if address.startswith(("http://", "https://")) else None


def _show_request(texts: dict[str, str]) -> None:
    with ui.tabs().props("align=left dense no-caps") as tabs:
        for name in texts:
            ui.tab(name)
    with ui.tab_panels(tabs, value="JSON"):
        for name, text in texts.items():
            with ui.tab_panel(name):
                quiet_button("Copy", on_click=partial(ui.clipboard.write, text))
                words("pre", text).classes("wide").props(
                    f'tabindex=0 role=region aria-label="request as {name}"'
                )


class TimeLine:
    """Each step of the run's life, with its seconds."""

    def __init__(self) -> None:
        words("h2", "Time line")
        self._box = ui.element("ol").classes("runs")
        self._shown = -1
        self._run: Run | None = None
        self._last: ui.label | None = None

    def show(self, run: Run) -> None:
        """The steps of the run."""
        self._run = run
        if len(run.transitions) == self._shown:
            return
        self._shown = len(run.transitions)
        self._box.clear()
        with self._box:
            now = None if run.status.ended else datetime.now(UTC)
            for began, seconds in (
                (each.began, each.seconds(now)) for each in steps(run.transitions)
            ):
                with ui.element("li").classes("line"):
                    ui.label(moment(began.at)).classes("quiet")
                    ui.label(phase_in_words(began.phase) if began.phase else began.status.lower())
                    self._last = ui.label("" if seconds is None else duration(seconds))
                    ui.label(began.message or "").classes("quiet")

    def tick(self) -> None:
        """A second has passed."""
        if self._run and self._last and not self._run.status.ended:
            since = datetime.now(UTC) - self._run.transitions[-1].at
            self._last.text = duration(since.total_seconds())
