"""How a run looks in a terminal: a bar while it trains, a table and links at the end."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from trainyard.contract import Run, RunPage, RunStatus

COLOURS = {RunStatus.FINISHED: "green", RunStatus.FAILED: "red", RunStatus.KILLED: "yellow"}


class LiveRunView:
    """A progress bar that follows a run: `show` takes each change."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[metric]}"),
            TimeElapsedColumn(), TextColumn("{task.fields[eta]}"), console=console, transient=True,
        )
        self._task = self._bar.add_task("submitted", total=None, metric="", eta="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, run: Run) -> None:
        """Show the run as it stands."""
        what = f"waiting, {run.queue_position} in the queue" if run.queue_position else (run.phase or run.status).lower().replace("_", " ")
        done, total, eta = 0, None, ""
        if run.progress:
            done, total = run.progress.done, run.progress.total
            eta = f"{run.progress.eta_seconds:.0f} s left" if run.progress.eta_seconds else ""
        self._bar.update(self._task, description=f"{run.model}: {what}", completed=done, total=total, metric=_newest(run), eta=eta)


def show_ended(console: Console, run: Run) -> None:
    """The table and the links of a run that ended."""
    console.print(f"[{COLOURS.get(run.status, 'white')}]{run.status}[/] {run.model} {run.run_id}" + (f": {run.reason}: {run.message}" if run.reason else ""))
    if run.metrics:
        table = Table("metric", "value", box=None)
        for name, value in sorted(run.metrics.items()):
            table.add_row(name, f"{value:.6g}")
        console.print(table)
    if run.registered:
        aliases = ", ".join(run.registered.aliases) or "no alias"
        console.print(f"registered: {run.registered.name} version {run.registered.version} ({aliases})")
        if run.registered.decision:
            console.print(run.registered.decision)
    if run.model_uri:
        console.print(f"model:      {run.model_uri}")
    console.print(f"in MLflow:  {run.links.mlflow}", soft_wrap=True)


def show_page(console: Console, page: RunPage) -> None:
    """Runs as a table."""
    table = Table("run", "status", "model", "experiment", "submitted", "reason", box=None)
    for run in page.runs:
        table.add_row(run.run_id, run.status, run.model, run.experiment, f"{run.submitted_at:%Y-%m-%d %H:%M:%S}", run.reason or "")
    console.print(table)


def _newest(run: Run) -> str:
    for prefix in ("validation_", "train_"):
        for name, value in run.metrics.items():
            if name.startswith(prefix):
                return f"{name} {value:.4g}"
    return ""
