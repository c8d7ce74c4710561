"""A search in a terminal: each best value so far, the trials under way, and how long it will take."""

import json
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from trainyard.contract import Phase, Run, Searched

PREFIX = "best_"
SHOWN = 8
"""The newest so many."""


class Better(NamedTuple):
    """A best value, when it was new."""

    metric: str
    value: float
    done: int


class SearchTable:
    """What a search has come to, by what its run said each time."""

    def __init__(self) -> None:
        self._found: list[Better] = []
        self._run: Run | None = None

    def see(self, run: Run) -> Better | None:
        """Take in the run as it stands; the new best value where there is one."""
        self._run = run if run.phase is Phase.SEARCHING else None
        best = best_of(run)
        if self._run is None or best is None or (self._found and self._found[-1][:2] == best[:2]):
            return None
        self._found.append(best)
        return best

    def rows(self) -> Table | None:
        """The table, while the run searches."""
        progress = self._run.progress if self._run else None
        if self._run is None or progress is None:
            return None
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("trials", "best so far", ""):
            table.add_column(column, justify="right" if column == "trials" else "left")
        for each in self._found[-SHOWN:]:
            table.add_row(f"{each.done}", Text(each.metric), f"{each.value:.6g}")
        under_way = f"{progress.running or 0} running"
        table.add_row(f"{progress.done}/{progress.total}", under_way, left(progress.eta_seconds))
        return table


def best_of(run: Run) -> Better | None:
    """The best value so far of a run that searches."""
    for name, value in run.metrics.items():
        if name.startswith(PREFIX) and run.progress:
            return Better(name.removeprefix(PREFIX), value, run.progress.done)
    return None


def left(seconds: float | None) -> str:
    """A time that something still takes, in words."""
    if seconds is None:
        return ""
    return f"{seconds:.0f} s left" if seconds < 120 else f"{seconds / 60:.0f} min left"


def found_in_words(found: Searched) -> str:
    """The best params, to six digits, and of how many trials they are."""
    params = " ".join(f"{name}={_written(value)}" for name, value in found.best_params.items())
    ended = f"{found.trials} trials, {found.pruned} pruned, {found.failed} failed"
    return f"{params} (trial {found.best_trial}, {found.metric} {found.best_value:.6g}; {ended})"


def _written(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value).strip('"')
