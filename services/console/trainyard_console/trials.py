"""The trials of a search as a table by pages, which grows as they end."""

from nicegui import background_tasks, ui
from trainyard.client import AsyncTrainyardClient
from trainyard.client.calls import may_pass
from trainyard.contract import Phase, Run, Trial, TrialPage
from trainyard.errors import TrainyardError

from trainyard_console.frame import quiet_button, words
from trainyard_console.tables import Table
from trainyard_console.words import duration, said

TRIALS_A_PAGE = 50
LOOK_SECONDS = 2.0
LOOKS = 2
"""How often is looked after a change: MLflow has a trial a moment after the run says that it has ended."""


class Trials:
    """Those of one run, the best first; nothing of a run that does not search."""

    def __init__(self, client: AsyncTrainyardClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._cursors: list[str | None] = [None]
        """Of the pages up to the one that is shown."""
        self._page = TrialPage(metric=None, trials=[])
        self._stands: object = None
        self._looks = 0
        with ui.element("div") as self._box:
            words("h2", "Trials")
            self._table = Table("trials", ("trial", "ended", "value", "took", "params"))
            with ui.element("div").classes("line"):
                self._better = quiet_button("Better", self._go_back)
                self._worse = quiet_button("Worse", self._go_on)
                self._place = ui.label().props('role=status aria-live="polite"')
        self._box.set_visibility(False)
        self._timer = ui.timer(LOOK_SECONDS, self._look, active=False)

    def show(self, run: Run) -> None:
        """Have the table follow the run."""
        if not any(step.phase is Phase.SEARCHING for step in run.transitions):
            return
        searching = run.phase is Phase.SEARCHING
        stands = (run.progress and run.progress.done if searching else None, run.status)
        if stands != self._stands:
            first, self._stands, self._looks = self._stands is None, stands, LOOKS
            self._box.set_visibility(True)
            if first:
                self._timer.activate()
                background_tasks.create(self._look())

    async def _look(self) -> None:
        """Show the page as MLflow has it now, where it may have changed; a service that is away is asked again."""
        if self._looks <= 0:
            return
        self._looks -= 1
        try:
            await self._fetch()
        except TrainyardError as error:
            self._place.text = said(error)
            self._looks = LOOKS if may_pass(error) else 0

    async def _fetch(self) -> None:
        cursor = self._cursors[-1]
        page = await self._client.trials(self._run_id, limit=TRIALS_A_PAGE, cursor=cursor)
        if cursor != self._cursors[-1]:
            return  # somebody has gone on meanwhile
        self._page = page
        first = (len(self._cursors) - 1) * TRIALS_A_PAGE
        best = page.trials[0] if page.trials and not first else None
        self._table.show(_row(each, is_best=each is best) for each in page.trials)
        self._better.set_enabled(first > 0)
        self._worse.set_enabled(page.cursor is not None)
        found = f"{first + 1} to {first + len(page.trials)}" if page.trials else "none has ended"
        self._place.text = f"{found}, by {page.metric}" if page.metric else found

    async def _go_on(self) -> None:
        if self._page.cursor is not None:
            await self._turn_to([*self._cursors, self._page.cursor])

    async def _go_back(self) -> None:
        if len(self._cursors) > 1:
            await self._turn_to(self._cursors[:-1])

    async def _turn_to(self, cursors: list[str | None]) -> None:
        self._cursors, self._looks = cursors, max(1, self._looks)
        await self._look()


def _row(trial: Trial, *, is_best: bool) -> tuple[str, ...]:
    value = "" if trial.value is None else f"{trial.value:.6g}"
    name = f"{trial.number}, the best" if is_best and value else str(trial.number)
    params = "  ".join(f"{name}={_short(value)}" for name, value in sorted(trial.params.items()))
    return name, trial.end, value, duration(trial.seconds), params


def _short(value: str) -> str:
    """A param as MLflow has it, a number with six digits of it."""
    try:
        return value if value.lstrip("-").isdigit() else f"{float(value):.6g}"
    except ValueError:
        return value[:100]
