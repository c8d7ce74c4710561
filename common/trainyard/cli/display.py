"""How runs look in a terminal: a bar while one trains, a table and links at its end."""

import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from trainyard.cli.search_table import SearchTable, found_in_words, left
from trainyard.contract import (
    Capacity,
    DataPreview,
    DatasetInfo,
    ModelInfo,
    Run,
    RunPage,
    RunStatus,
    Share,
    Usage,
    UsageReport,
)

COLOURS = {RunStatus.FINISHED: "green", RunStatus.FAILED: "red", RunStatus.KILLED: "yellow"}
PIPE_WIDTH = 10_000


def console_on(*, stderr: bool = False) -> Console:
    """A console that wraps in a terminal and nowhere else."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, highlight=False, markup=False, width=None if stream.isatty() else PIPE_WIDTH
    )


class _Bar(Progress):
    """A bar, below the table of a run that searches."""

    def __init__(self, *columns: ProgressColumn, search: SearchTable, console: Console) -> None:
        self._search = search
        super().__init__(*columns, console=console, transient=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        """As rich asks for them."""
        table = self._search.rows()
        if table is not None:
            yield table
        yield self.make_tasks_table(self.tasks)


class LiveRunView:
    """Follows a run: a bar in a terminal, a line for each phase elsewhere. `show` takes each change.

    While the run searches there is a table above the bar, or a line for each best value.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._search = SearchTable()
        columns = [
            TextColumn(f"{{task.fields[{name}]}}", markup=False)
            for name in ("what", "rounds", "metric", "eta")
        ]
        self._bar = _Bar(
            columns[0],
            BarColumn(bar_width=30),
            *columns[1:],
            TimeElapsedColumn(),
            search=self._search,
            console=console,
        )
        self._task = self._bar.add_task(
            "", total=None, what="submitted", rounds="", metric="", eta=""
        )
        self._said = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, run: Run) -> None:
        """Show the run as it stands."""
        progress = run.progress
        better = self._search.see(run)
        self._bar.update(
            self._task,
            what=f"{run.model} {_doing(run)}",
            completed=progress.done if progress else 0,
            total=progress.total if progress else None,
            rounds=f"{progress.done}/{progress.total} {progress.unit}" if progress else "",
            metric=_newest(run),
            eta=left(progress.eta_seconds) if progress else "",
        )
        self._say(f"{run.run_id} {_doing(run)}")
        if better and progress and not self._console.is_terminal:
            reached = f"{better.metric} {better.value:.6g}"
            self._console.print(
                f"{run.run_id} {reached} after {progress.done}/{progress.total} trials"
            )

    def away(self, error: Exception) -> None:
        """Show that the service does not answer for now."""
        self._bar.update(self._task, what="waiting for the service", eta="")
        self._say(f"{error}; asking again")

    def _say(self, line: str) -> None:
        if not self._console.is_terminal and line != self._said:
            self._console.print(line)
            self._said = line


def show_run(console: Console, run: Run) -> None:
    """A run as it stands or ended: what it came to, its metrics and links."""
    console.print(
        Text.assemble(
            (str(run.status), COLOURS.get(run.status, "bold")),
            f" {run.model} {run.run_id}{_standing(run)}",
        )
    )
    if run.reason:
        console.print(f"{run.reason}: {run.message}" if run.message else run.reason)
        if run.retryable:
            console.print("The same request may succeed when it is trained again.")
    if run.metrics:
        values = ((name, f"{value:.6g}") for name, value in sorted(run.metrics.items()))
        _show_rows(console, ("metric", "value"), values)
    for label, text in _results(run):
        console.print(f"{label:<11} {text}", soft_wrap=True)


def show_page(console: Console, page: RunPage) -> None:
    """Runs, newest first."""
    columns = ("run", "status", "model", "experiment", "submitted (UTC)", "reason")
    rows = (
        (
            run.run_id,
            run.status,
            run.model,
            run.experiment,
            f"{run.submitted_at:%Y-%m-%d %H:%M:%S}",
            run.reason or "",
        )
        for run in page.runs
    )
    _show_rows(console, columns, rows)
    if page.cursor:
        console.print(f"More with --cursor {page.cursor}", soft_wrap=True)


def show_models(console: Console, models: Iterable[ModelInfo]) -> None:
    """Models, with what each trains on."""
    columns = ("model", "task", "data", "framework", "what it is")
    rows = (
        (
            each.name,
            each.task,
            ", ".join(each.data),
            f"{each.framework} {each.framework_version}",
            each.description,
        )
        for each in models
    )
    _show_rows(console, columns, rows)


def show_model(console: Console, model: ModelInfo) -> None:
    """A model's params, with their defaults and meaning, and an example request."""
    console.print(
        f"{model.name}: {model.description} ({model.task}, {model.framework} {model.framework_version})"
    )
    rows = (
        (name, str(model.defaults.get(name, "")), str(schema.get("description", "")))
        for name, schema in model.params_schema.get("properties", {}).items()
    )
    _show_rows(console, ("param", "default", "meaning"), rows)
    console.print("Example:")
    console.print_json(data=model.example)


def show_datasets(console: Console, datasets: Iterable[DatasetInfo]) -> None:
    """Data sets, by their source and name."""
    rows = (
        (
            each.source,
            each.name,
            each.task or "",
            "" if each.size_bytes is None else f"{each.size_bytes}",
        )
        for each in datasets
    )
    _show_rows(console, ("source", "name", "task", "bytes"), rows)


def show_preview(console: Console, preview: DataPreview) -> None:
    """Each column of the data, how many rows were looked at, and what to read before training on it."""
    rows = (
        (each.name, each.type, f"{each.missing or ''}", ", ".join(each.examples))
        for each in preview.columns
    )
    _show_rows(console, ("column", "type", "missing", "examples"), rows)
    console.print(Text(preview.in_words))
    for sentence in [
        *preview.warnings,
        *(one for each in preview.columns for one in each.warnings),
    ]:
        console.print(Text(f"warning: {sentence}"))


def show_capacity(console: Console, capacity: Capacity) -> None:
    """What there is of each kind, and each run that has some of it or waits."""
    kinds = ("slots", "cpus", "gpus", "memory_mb")
    amounts = ((name.replace("_", " "), getattr(capacity, name)) for name in kinds)
    _show_rows(
        console,
        ("", "total", "used", "waited for"),
        ((name, f"{each.total}", f"{each.used}", f"{each.waited_for}") for name, each in amounts),
    )
    runs = [*capacity.running, *capacity.waiting]
    if runs:
        columns = ("run", "model", "by", "workers", "cpus", "gpus", "memory mb", "waits for")
        _show_rows(console, columns, map(_share_row, runs))
    if capacity.complaints:
        _show_rows(console, ("host", "is given no runs"), capacity.complaints.items())


def show_usage(console: Console, report: UsageReport) -> None:
    """What each team used in each month, in hours."""
    hours = ("queue_seconds", "run_seconds", "cpu_seconds", "gpu_seconds")
    columns = ("month", "team", "runs", "finished", *(name.partition("_")[0] for name in hours))
    _show_rows(
        console,
        (*columns[:4], *(f"{name} h" for name in columns[4:]), "not seen"),
        (
            (
                each.month,
                each.team or "",
                f"{each.runs}",
                f"{each.finished}",
                *(f"{getattr(each, name) / 3600:.2f}" for name in hours),
                f"{each.not_seen or ''}",
            )
            for each in report.usage
        ),
    )


def _share_row(share: Share) -> tuple[str, ...]:
    cores = f" (cores {', '.join(map(str, share.cores))})" if share.cores else ""
    devices = f" ({', '.join(share.devices)})" if share.devices else ""
    return (
        share.run_id,
        share.model,
        share.submitted_by or "",
        f"{share.workers}",
        f"{share.cpus}{cores}",
        f"{share.gpus}{devices}",
        f"{share.memory_mb or ''}",
        share.waits_for or "",
    )


def _show_rows(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table where it fits into the console's width; else a line a fact, so that nothing is cut."""
    held = [[Text(cell) for cell in row] for row in rows]
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in held:
        table.add_row(*row)
    unbounded = console.options.update(width=PIPE_WIDTH)
    if console.measure(table, options=unbounded).maximum <= console.width:
        console.print(table)
        return
    for row in held:
        console.print(_record(columns, row))


def _record(columns: Sequence[str], row: Sequence[Text]) -> Table:
    """One row as lines of name and value; an empty value has none."""
    lines = Table(box=None, show_header=False, pad_edge=False)
    lines.add_column(no_wrap=True, style="bold", width=max(map(len, columns)))
    lines.add_column(overflow="fold")
    for name, value in zip(columns, row, strict=True):
        if value:
            lines.add_row(name, value)
    lines.add_row("", "")
    return lines


def _doing(run: Run) -> str:
    if run.status is RunStatus.SCHEDULED:
        place = f", {run.queue_position} in the queue" if run.queue_position else ""
        return f"waits{place}{f', for {run.waits_for}' if run.waits_for else ''}"
    return (
        (run.phase or run.status).replace("_", " ")
        if run.status is RunStatus.RUNNING
        else run.status
    )


def _standing(run: Run) -> str:
    if run.status.ended:
        return ""
    progress = (
        f", {run.progress.done}/{run.progress.total} {run.progress.unit}" if run.progress else ""
    )
    return f": {_doing(run)}{progress}"


def _results(run: Run) -> Iterable[tuple[str, str]]:
    if run.searched:
        yield "best params", found_in_words(run.searched)
    if run.registered:
        aliases = ", ".join(run.registered.aliases) or "no alias"
        yield "registered", f"{run.registered.name} version {run.registered.version} ({aliases})"
        if run.registered.decision:
            yield "decision", run.registered.decision
    for sentence in run.warnings:
        yield "warning", sentence
    if run.usage:
        yield "used", _used(run.usage)
    if run.model_uri:
        yield "model", run.model_uri
    yield "MLflow", run.links.mlflow


def _used(usage: Usage) -> str:
    memory = "" if usage.peak_memory_mb is None else f", {usage.peak_memory_mb:,} MB of memory"
    took = "" if usage.cpu_seconds is None else f", {usage.cpu_seconds:.1f} s of processors"
    waited = f", after {usage.queue_seconds:.1f} s in the queue"
    return f"{usage.run_seconds:.1f} s{took}{memory}{waited}"


def _newest(run: Run) -> str:
    for prefix in ("validation_", "train_"):
        for name, value in run.metrics.items():
            if name.startswith(prefix):
                return f"{name} {value:.4g}"
    return ""
