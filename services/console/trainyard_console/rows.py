"""Runs in lists, a line or two each, kept up to date in place, so that focus and reading stay where they are."""

from collections.abc import Sequence

from nicegui import ui
from trainyard.contract import Run, RunStatus

from trainyard_console.words import duration, moment, newest_metric, progress_in_words, standing


class Row:
    """One run."""

    def __init__(self, service: str, run: Run) -> None:
        with ui.element("li").classes("run").props(f"data-run={run.run_id}") as self.element:
            with ui.element("div").classes("line"):
                ui.link(run.run_name, f"/runs/{service}/{run.run_id}").classes("text-weight-bold")
                ui.label(f"{run.model} on {service}")
                self._standing = ui.label().classes("push")
            self._bar = None if run.status.ended else _bar(run)
            with ui.element("div").classes("line quiet"):
                self._about = ui.label()
                self._when = ui.label().classes("push")
        self._version = -1

    def show(self, run: Run) -> None:
        """The run as it stands now."""
        if run.version == self._version:
            return
        self._version = run.version
        self._standing.text = standing(run)
        self._standing.classes(
            toggle="" if (run.status is RunStatus.FAILED) == self._is_bad() else "bad"
        )
        progress = None if run.status.ended else run.progress
        if self._bar is not None:
            self._bar.set_visibility(progress is not None)
            self._bar.value = progress.done / max(1, progress.total) if progress else 0
        self._about.text = _about(run)
        self._when.text = _when(run)

    def _is_bad(self) -> bool:
        return "bad" in self._standing.classes


def _bar(run: Run) -> ui.linear_progress:
    bar = ui.linear_progress(show_value=False)
    bar.props["aria-label"] = f"progress of {run.run_name}"
    return bar


def _about(run: Run) -> str:
    """All in one: an element costs a page of fifty runs more than what is in it."""
    by = f"by {run.submitted_by}" if run.submitted_by else ""
    told = (run.message or _waits(run))[:200]
    facts = (progress_in_words(run), newest_metric(run), told, run.experiment, by)
    return " · ".join(filter(None, facts))


def _waits(run: Run) -> str:
    return f"for {run.waits_for}" if run.waits_for else ""


def _when(run: Run) -> str:
    if run.ended_at:
        took = run.ended_at - (run.started_at or run.ended_at)
        return f"{duration(took.total_seconds())}, ended {moment(run.ended_at)}"
    return f"submitted {moment(run.submitted_at)}"


class Rows:
    """A list of runs, or a sentence where there are none."""

    def __init__(self, empty: str) -> None:
        self._empty = ui.label(empty).classes("quiet")
        self._list = ui.element("ul").classes("runs")
        self._rows: dict[str, Row] = {}

    def show(self, found: Sequence[tuple[str, Run]]) -> None:
        """These runs of these services, in this order."""
        wanted = [run.run_id for _, run in found]
        for gone in self._rows.keys() - set(wanted):
            self._list.remove(self._rows.pop(gone).element)
        for place, (service, run) in enumerate(found):
            if run.run_id not in self._rows:
                with self._list:
                    self._rows[run.run_id] = Row(service, run)
            row = self._rows[run.run_id]
            if self._list.default_slot.children[place] is not row.element:
                row.element.move(target_index=place)
            row.show(run)
        self._empty.set_visibility(not found)
