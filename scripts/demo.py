"""`make demo`: two models on real data, the better one becomes champion, and nothing is left running."""

import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from background import Program, StartError, free_port, running, start, stop, wait_until_ready
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from programs import HOME, MLFLOW_PORT, mlflow, trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from trainyard.client import TrainyardClient
from trainyard.contract import Run, RunStatus, TrainRequest

REGISTERED_MODEL = "breast-cancer"
MODELS = ("xgboost_classifier", "lightgbm_classifier")
METRICS = ("test_roc_auc", "test_accuracy", "test_log_loss")
console = Console(highlight=False)


def main() -> None:
    """Start, train, show, and stop whatever happens."""
    # The demo shows the defaults; what the caller set for other services stays out of it.
    for name in [
        name for name in os.environ if name.startswith(("TRAINYARD_", "MLFLOW_TRACKING_"))
    ]:
        del os.environ[name]
    signal.signal(signal.SIGTERM, end)
    started: list[str] = []
    try:
        tracking_uri = open_mlflow(started)
        api = open_trainer(started, tracking_uri)
        with TrainyardClient(api) as client:
            runs = train(client)
        show(runs, MlflowClient(tracking_uri))
    except StartError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; stopping what was started.")
    finally:
        for name in reversed(started):
            stop(name, HOME)
    if any(run.status is not RunStatus.FINISHED for run in runs):
        sys.exit(1)


def end(_signal: int, _frame: FrameType | None) -> None:
    """Treat SIGTERM as Ctrl-C."""
    raise KeyboardInterrupt


def open_mlflow(started: list[str]) -> str:
    """Take the MLflow that `make serve` runs, or start one of our own on the same store."""
    if running("mlflow", HOME):
        return f"http://127.0.0.1:{MLFLOW_PORT}"
    program = mlflow(port=free_port(), name="demo-mlflow", workers=1)
    bring_up(program, started)
    return f"http://127.0.0.1:{program.port}"


def open_trainer(started: list[str], tracking_uri: str) -> str:
    """Start a boosting service of our own, under a name of its own so that its runs are nobody else's."""
    program = trainer(
        "boosting",
        name="demo-boosting",
        port=free_port(),
        tracking_uri=tracking_uri,
        TRAINYARD_INSTANCE="demo",
    )
    bring_up(program, started)
    return f"http://127.0.0.1:{program.port}"


def bring_up(program: Program, started: list[str]) -> None:
    """Start a program and wait for it; its name is noted first, so that it is stopped in any case."""
    with console.status(f"Starting {program.name.removeprefix('demo-')} …"):
        stop(program.name, HOME)
        started.append(program.name)
        wait_until_ready(program, start(program, HOME), HOME)
    console.print(
        f"[green]✓[/] {program.name.removeprefix('demo-'):<9} http://127.0.0.1:{program.port}"
    )


def train(client: TrainyardClient) -> list[Run]:
    """Submit every model and follow each to its end."""
    columns = (
        TextColumn("  {task.description:<20}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        waiting = []
        for model in MODELS:
            run = client.submit(request(model))
            waiting.append((run, bars.add_task(model, total=1, state="waits")))
        return [
            client.wait(run.run_id, on_change=lambda now, bar=bar: draw(bars, bar, now))
            for run, bar in waiting
        ]


def request(model: str) -> TrainRequest:
    """One training on scikit-learn's breast cancer data, registered and promoted when it is better."""
    return TrainRequest.model_validate(
        {
            "model": model,
            "data": {"source": "builtin", "name": "breast_cancer"},
            "experiment": "demo",
            "run_name": model,
            "register": {
                "name": REGISTERED_MODEL,
                "promote": {"alias": "champion", "metric": "test_roc_auc"},
            },
        }
    )


def draw(bars: Progress, bar: TaskID, run: Run) -> None:
    """Show how far a run is."""
    state = (
        run.status.value
        if run.status.ended or run.phase is None
        else run.phase.value.replace("_", " ")
    )
    if run.status.ended:
        bars.update(bar, total=1, completed=1, state=state)
    elif run.progress:
        bars.update(bar, total=run.progress.total, completed=run.progress.done, state=state)
    else:
        bars.update(bar, state=state)


def summary(run: Run, version: ModelVersion | None) -> Iterator[str]:
    """What came of a run, a line a fact, so that a terminal of 80 columns cuts nothing."""
    yield f"  {run.model}"
    for name in METRICS:
        if name in run.metrics:
            yield f"    {name:<15} {run.metrics[name]:.4f}"
    if version:
        yield f"    {'registered':<15} {version.name} version {version.version}"
        yield f"    {'aliases':<15} {', '.join(version.aliases) or 'none'}"
    else:
        yield f"    {run.status.value:<15} {run.message or ''}"
    yield ""


def show(runs: list[Run], registry: MlflowClient) -> None:
    """Print what came out, read back from MLflow's registry, and where to go from here."""
    console.print("\n[bold]Trained, tested, registered[/]\n")
    for run in runs:
        version = None
        if run.registered:
            version = registry.get_model_version(run.registered.name, str(run.registered.version))
        for line in summary(run, version):
            console.print(line, markup=False, soft_wrap=True)
    address = f"http://127.0.0.1:{MLFLOW_PORT}"
    console.print("To look closer, [bold]make serve[/] and open")
    places = {
        run.model: f"{address}/#/experiments/{run.experiment_id}/runs/{run.run_id}" for run in runs
    }
    places |= {
        "the registry": f"{address}/#/models/{REGISTERED_MODEL}",
        "the API": "http://127.0.0.1:8001/docs",
    }
    for name, place in places.items():
        console.print(f"  {name}\n    {place}", soft_wrap=True)


if __name__ == "__main__":
    main()
