"""`trainyard`: train, watch and promote from a terminal or a script.

Exit codes: 0 finished, 1 the run failed or was killed, 2 a bad request or bad usage, 3 the service or
MLflow cannot be reached, 130 interrupted (the run goes on).
"""

import json
import os
import sys
import tempfile
import uuid
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from trainyard.client import TrainyardClient, Unreachable
from trainyard.complaints import complaints
from trainyard.contract import Promote, Run, RunStatus, TrainRequest
from trainyard.display import LiveRunView, show_ended, show_page
from trainyard.errors import (
    Invalid,
    Malformed,
    RequestError,
    ServiceError,
    TrainyardError,
    Unavailable,
)

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Exit(IntEnum):
    """How a command ended."""

    FINISHED = 0
    RUN_FAILED = 1
    BAD_REQUEST = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


Url = Annotated[str | None, typer.Option(help="The service; TRAINYARD_URL, or http://127.0.0.1:8001, by default")]
Token = Annotated[str | None, typer.Option(help="Its token; TRAINYARD_TOKEN by default")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else")]
RequestFile = Annotated[str, typer.Argument(help="A file with the request as JSON, or - for standard input")]


@app.command()
def train(  # noqa: PLR0913 - one option each
    request: RequestFile, *, url: Url = None, token: Token = None,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key; a new one by default")] = None,
    detach: Annotated[bool, typer.Option(help="Submit and leave")] = False,
    as_json: AsJson = False,
) -> None:
    """Train: submit a request, follow it with a bar, show its metrics and links."""
    with TrainyardClient(url, token=token) as client:
        run = client.submit(_read(request), idempotency_key=key or str(uuid.uuid4()))
        if detach:
            typer.echo(run.model_dump_json() if as_json else run.run_id)
            return
        try:
            with LiveRunView(err) as view:
                run = client.wait(run.run_id, on_change=view.show)
        except KeyboardInterrupt:
            err.print(f"The run goes on. To cancel it: trainyard cancel {run.run_id}")
            raise typer.Exit(Exit.INTERRUPTED) from None
    _finish(run, as_json=as_json)


@app.command()
def status(run_id: str, *, url: Url = None, token: Token = None, as_json: AsJson = False) -> None:
    """Show a run as it stands."""
    with TrainyardClient(url, token=token) as client:
        run = client.get(run_id)
    if as_json:
        typer.echo(run.model_dump_json())
    else:
        show_ended(out, run)


@app.command()
def wait(
    run_id: str, *, url: Url = None, token: Token = None, as_json: AsJson = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most")] = None,
) -> None:
    """Wait until a run ends; the exit code tells how."""
    with TrainyardClient(url, token=token) as client:
        run = client.wait(run_id, timeout_seconds=timeout)
    if not run.status.ended:
        err.print(f"{run_id} is still {run.status}")
        raise typer.Exit(Exit.UNREACHABLE)
    _finish(run, as_json=as_json)


@app.command()
def logs(
    run_id: str, *, url: Url = None, token: Token = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends")] = False,
    tail: Annotated[int | None, typer.Option(help="Only the last lines")] = None,
) -> None:
    """Print what a run printed."""
    with TrainyardClient(url, token=token) as client:
        for text in (line + "\n" for line in client.follow_logs(run_id)) if follow else [client.logs(run_id, tail=tail)]:
            typer.echo(text, nl=False)


@app.command()
def cancel(run_id: str, *, url: Url = None, token: Token = None, as_json: AsJson = False) -> None:
    """Cancel a run, and wait until it has ended."""
    with TrainyardClient(url, token=token) as client:
        client.cancel(run_id)
        run = client.wait(run_id)
    typer.echo(run.model_dump_json() if as_json else f"{run.run_id} {run.status}")


@app.command("list")
def list_runs(  # noqa: PLR0913 - one option each
    *, url: Url = None, token: Token = None, as_json: AsJson = False,
    status: Annotated[RunStatus | None, typer.Option(help="Only runs of this status")] = None,
    model: Annotated[str | None, typer.Option(help="Only runs of this model")] = None,
    experiment: Annotated[str | None, typer.Option(help="Only runs of this experiment")] = None,
    limit: Annotated[int, typer.Option(help="How many at most")] = 20,
) -> None:
    """List runs, newest first."""
    with TrainyardClient(url, token=token) as client:
        page = client.list(status=status, model=model, experiment=experiment, limit=limit)
    if as_json:
        typer.echo(page.model_dump_json())
    else:
        show_page(out, page)


@app.command()
def models(model: Annotated[str | None, typer.Argument(help="One model, with its params")] = None, *, url: Url = None, token: Token = None) -> None:
    """Show what the service trains, as JSON."""
    with TrainyardClient(url, token=token) as client:
        if model:
            typer.echo(client.model(model).model_dump_json(indent=2))
        else:
            for each in client.models():
                typer.echo(f"{each.name}  {each.task}  {each.framework} {each.framework_version}")


@app.command()
def datasets(*, url: Url = None, token: Token = None) -> None:
    """Show the builtin data sets, and the files below the data roots."""
    with TrainyardClient(url, token=token) as client:
        for each in client.datasets():
            typer.echo(f"{each.source}  {each.name}")


@app.command()
def promote(  # noqa: PLR0913 - one option each
    name: str, version: str, *, metric: Annotated[str, typer.Option(help="The metric to compare, such as test_roc_auc")],
    alias: Annotated[str, typer.Option(help="The alias to move")] = "champion",
    lower_is_better: Annotated[bool, typer.Option(help="For losses and errors")] = False,
    min_delta: Annotated[float, typer.Option(help="By how much it must be better")] = 0.0,
) -> None:
    """Give the alias to a version if its metric beats the holder's (MLFLOW_TRACKING_URI)."""
    registry, client = _registry()
    rule = Promote(alias=alias, metric=metric, greater_is_better=not lower_is_better, min_delta=min_delta)
    decision = registry.promote(client, name=name, version=version, rule=rule, locks=_locks())
    typer.echo(decision.text)
    raise typer.Exit(Exit.FINISHED if decision.promoted else Exit.RUN_FAILED)


@app.command()
def rollback(name: str, *, alias: Annotated[str, typer.Option(help="The alias to give back")] = "champion") -> None:
    """Give the alias back to the version that held it before (MLFLOW_TRACKING_URI)."""
    registry, client = _registry()
    typer.echo(f"{alias} of {name} is version {registry.rollback(client, name=name, alias=alias, locks=_locks())}")


@app.command()
def serve() -> None:
    """Serve the models of the service that is installed here; settings are TRAINYARD_… variables."""
    settings, service = _installed()
    from trainyard.api.server import serve as serve_api

    serve_api(service, settings)


@app.command("run")
def run_once(request: RequestFile, *, as_json: AsJson = False) -> None:
    """Train once in the foreground, without a server, and leave; for a one-shot container."""
    settings, service = _installed()
    from trainyard.api.once import run_once as train_once

    with LiveRunView(err) as view:
        run = train_once(service, settings, _read(request), on_change=view.show)
    _finish(run, as_json=as_json)


def main() -> None:
    """The program: errors become a sentence and an exit code."""
    try:
        app()
    except (Unreachable, Unavailable) as error:
        _leave(error, Exit.UNREACHABLE)
    except (RequestError, ServiceError) as error:
        _leave(error, Exit.BAD_REQUEST)
    except TrainyardError as error:
        _leave(error, Exit.RUN_FAILED)


def _leave(error: TrainyardError, code: Exit) -> None:
    for each in getattr(error, "errors", ()):
        err.print(f"{each.pointer}: {each.detail}", markup=False)
    if not getattr(error, "errors", ()):
        err.print(error.detail, markup=False)
    sys.exit(code)


def _finish(run: Run, *, as_json: bool) -> None:
    if as_json:
        typer.echo(run.model_dump_json())
    else:
        show_ended(out, run)
    raise typer.Exit(Exit.FINISHED if run.status is RunStatus.FINISHED else Exit.RUN_FAILED)


def _read(source: str) -> TrainRequest:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
        json.loads(text)
        return TrainRequest.model_validate_json(text)
    except ValidationError as error:
        raise Invalid(errors=complaints(error, TrainRequest)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise Malformed(f"{source} does not hold a request as JSON: {error}") from error


def _installed() -> tuple[Any, Any]:
    try:
        from trainyard.service import installed_service
        from trainyard.settings import Settings

        return Settings(), installed_service()
    except ImportError as error:
        raise ServiceError(f"this needs trainyard[service]: {error}") from error
    except ValidationError as error:
        lines = [": ".join([*map(str, each["loc"]), each["msg"].removeprefix("Value error, ")]) for each in error.errors()]
        raise ServiceError("settings: " + "; ".join(lines)) from error


def _registry() -> tuple[Any, Any]:
    try:
        from mlflow import MlflowClient

        from trainyard import registry
    except ImportError as error:
        raise ServiceError(f"this needs trainyard[service]: {error}") from error
    return registry, MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000"))


def _locks() -> Path:
    return Path(os.environ.get("TRAINYARD_WORK_DIR", tempfile.gettempdir())) / "locks"
