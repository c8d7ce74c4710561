"""The yard: what runs and waits at all services, and what ended, by pages."""

from nicegui import ui
from trainyard.contract import RunStatus

from trainyard_console.frame import Page, frame, words
from trainyard_console.history import RUNS_A_PAGE, History, Listed, Wanted
from trainyard_console.room import Room
from trainyard_console.rows import Rows
from trainyard_console.words import WORDS

MOST_ENDED = 20
CHOICES = {"": "all"} | {status.value: WORDS[status] for status in RunStatus}


def yard(page: Page) -> None:
    """The page."""
    with frame(page, "Yard"):
        room, live = Room(page), Live(page)
        page.show(room.show)
        page.show(live.show)
        Older(page)


class Live:
    """What is under way, and what ended last."""

    def __init__(self, page: Page) -> None:
        self._page = page
        words("h2", "Running")
        self._running = Rows("Nothing runs.")
        words("h2", "Waiting")
        self._waiting = Rows("Nothing waits.")
        words("h2", "Ended lately")
        self._ended = Rows("Nothing has ended since the services started.")

    def show(self) -> None:
        """As it stands now."""
        states = {
            watch.name: watch.state
            for watch in self._page.session.watches.values()
            if watch.state is not None
        }
        self._running.show([(name, run) for name, each in states.items() for run in each.running])
        self._waiting.show([(name, run) for name, each in states.items() for run in each.waiting])
        ended = [(name, run) for name, each in states.items() for run in each.ended]
        self._ended.show(sorted(ended, key=_end, reverse=True)[:MOST_ENDED])


def _end(listed: Listed) -> float:
    ended_at = listed[1].ended_at
    return ended_at.timestamp() if ended_at else 0.0


class Older:
    """All runs there ever were, by pages, once somebody asks for them."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._history: History | None = None
        words("h2", "All runs")
        with ui.element("div").classes("line"):
            self._status = ui.select(CHOICES, value="", label="Status").style("min-width: 10rem")
            self._model = ui.input("Model").props("maxlength=200")
            self._experiment = ui.input("Experiment").props("maxlength=200")
            for field in (self._model, self._experiment):
                field.on("keydown.enter", self._list)
            ui.button("List", on_click=self._list)
            self._newer = ui.button("Newer", on_click=self._go_back)
            self._older = ui.button("Older", on_click=self._go_on)
            self._place = ui.label().props('role=status aria-live="polite"')
        self._rows = Rows("")
        self._show()

    async def _list(self) -> None:
        wanted = Wanted(
            status=RunStatus(self._status.value) if self._status.value else None,
            model=self._model.value.strip() or None,
            experiment=self._experiment.value.strip() or None,
        )
        watches = self._page.session.watches.values()
        self._history = History({each.name: each.client for each in watches}, wanted)
        await self._go_on()

    async def _go_on(self) -> None:
        if self._history:
            await self._history.older()
            self._history.look_ahead()
            self._show()

    def _go_back(self) -> None:
        if self._history:
            self._history.newer()
            self._show()

    def _show(self) -> None:
        history = self._history
        self._newer.set_enabled(bool(history and history.place > 0))
        self._older.set_enabled(bool(history and history.has_older))
        if history is not None:
            self._rows.show(history.page)
            first = history.place * RUNS_A_PAGE + 1
            last = first + len(history.page) - 1
            self._place.text = f"{first} to {last}" if history.page else "no such runs"
            if history.silent:
                self._place.text += f", without {' and '.join(history.silent)}"
