"""What is known of a run, as names and values under headings."""

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui
from trainyard.contract import Priority, Run, Share

from trainyard_console.frame import words
from trainyard_console.words import duration

Found = Mapping[Any, Any]


class Facts:
    """Names and values under a heading; nothing where there are none."""

    def __init__(self, heading: str, of: Callable[[Run], Found]) -> None:
        self._of = of
        self._shown: Found = {}
        with ui.element("div") as self._box:
            words("h2", heading)
            self._table = ui.element("table").classes("facts")

    def show(self, run: Run) -> None:
        """Those of the run."""
        found = self._of(run)
        self._box.set_visibility(bool(found))
        if found == self._shown:
            return
        self._shown = found
        self._table.clear()
        with self._table, ui.element("tbody"):
            for name, value in found.items():
                with ui.element("tr"):
                    words("th", str(name)).props("scope=row")
                    words("td", str(value))


def of_run(run: Run) -> Found:
    """Whose it is, and which of several it is."""
    return _there(
        {
            "submitted by": run.submitted_by,
            "team": run.team,
            "priority": None if run.priority is Priority.NORMAL else run.priority.value,
            "attempt": run.attempt if run.attempt > 1 else None,
            "version of the data": run.data_version,
            "model": run.model_uri,
            "run": run.run_id,
        }
    )


def metrics(run: Run) -> Found:
    """What it has measured last."""
    return {name: f"{value:.6g}" for name, value in sorted(run.metrics.items())}


def searched(run: Run) -> Found:
    """What its search found: how its trials ended, and the best one with its params."""
    found = run.searched
    if found is None:
        return {}
    about = found.model_dump(exclude_none=True, exclude={"best_params"})
    best = {f"best {name}": value for name, value in found.best_params.items()}
    return {name.replace("_", " "): str(value) for name, value in about.items()} | best


def warnings(run: Run) -> Found:
    """What a person should read about the data and the request."""
    return dict(enumerate(run.warnings, start=1))


def used(run: Run) -> Found:
    """What it used of the machine; of a run that has ended."""
    usage = run.usage
    if usage is None:
        return {}
    return _there(
        {
            "in the queue": duration(usage.queue_seconds),
            "with a slot": duration(usage.run_seconds),
            "processors": None if usage.cpu_seconds is None else duration(usage.cpu_seconds),
            "GPUs": duration(usage.gpu_seconds) if usage.gpu_seconds else None,
            "memory at most": None
            if usage.peak_memory_mb is None
            else f"{usage.peak_memory_mb:,} MB",
        }
    )


def placed(share: Share | None) -> Found:
    """What it has of the machine, or waits for."""
    if share is None:
        return {}
    cores = f" (cores {', '.join(map(str, share.cores))})" if share.cores else ""
    devices = f" ({', '.join(share.devices)})" if share.devices else ""
    return _there(
        {
            "CPUs": f"{share.cpus}{cores}",
            "GPUs": f"{share.gpus}{devices}" if share.gpus else None,
            "memory": None if share.memory_mb is None else f"{share.memory_mb:,} MB at most",
            "waits for": share.waits_for,
        }
    )


def hosts(run: Run) -> Found:
    """Where each of its workers is, or was at last; nothing of a run on the service's own host."""
    return {f"worker {each.rank}": str(each) for each in run.placement}


def _there(facts: Found) -> Found:
    return {name: value for name, value in facts.items() if value is not None}
