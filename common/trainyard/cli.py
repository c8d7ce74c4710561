"""`trainyard`: train, watch and promote from a terminal or a script."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from trainyard.client import ForeignAnswer, TrainyardClient, Unreachable, may_pass
from trainyard.complaints import complaints
from trainyard.contract import Promote, Run, RunStatus, TrainRequest
from trainyard.display import (
    LiveRunView,
    console_on,
    show_datasets,
    show_model,
    show_models,
    show_page,
    show_run,
)
from trainyard.errors import Invalid, RequestError, ServiceError, TrainyardError
from trainyard.installation import installed, locks_dir, reachable_registry
from trainyard.request_source import read_request, request_of


class Exit(IntEnum):
    """How a command ended; `EXIT_CODES` says it to people."""

    FINISHED = 0
    RUN_FAILED = 1
    BAD_REQUEST = 2
    UNREACHABLE = 3
    TIMED_OUT = 124
    INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 done, or the run finished; 1 the run failed or was killed, or the alias stays where it is; "
    "2 a bad request, setting or usage; 3 the service or MLflow is unreachable or cannot serve now; "
    "124 still under way when --timeout passed; 130 interrupted, and the run goes on."
)


class Commands(TyperGroup):
    """The commands, whose errors become a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except TrainyardError as error:
            raise typer.Exit(_explain(error)) from error


app = typer.Typer(
    cls=Commands, help=__doc__, epilog=EXIT_CODES, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

Url = Annotated[str | None, typer.Option(help="The service; TRAINYARD_URL, or http://127.0.0.1:8001, by default")]
Token = Annotated[str | None, typer.Option(help="Its token; TRAINYARD_TOKEN by default")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output")]
RunId = Annotated[str, typer.Argument(help="The run's id", show_default=False)]
Alias = Annotated[str, typer.Option(help="The alias to move")]


@app.command(epilog=EXIT_CODES)
def train(  # noqa: PLR0913 - one option each
    request: Annotated[str | None, typer.Argument(help="The request as JSON: itself, a file that holds it, or - for standard input")] = None,
    *,
    model: Annotated[str | None, typer.Option(help="The model, instead of the file's")] = None,
    data: Annotated[str | None, typer.Option(help="The data: a builtin's name, a table (with --target), or images")] = None,
    target: Annotated[str | None, typer.Option(help="The table's column to predict")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="A param; again for another")] = None,
    register: Annotated[str | None, typer.Option(metavar="NAME", help="Register the model under this name")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key; a new one by default")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Submit, print the run's id, and leave")] = False,
    as_json: AsJson = False, url: Url = None, token: Token = None,
) -> None:
    """Submit a training, follow it with a bar, and show its metrics and links."""
    wanted = request_of(request, model=model, data=data, target=target, params=param or [], register=register)
    with TrainyardClient(url, token=token) as client:
        run = _submit(client, wanted, key)
        if detach:
            typer.echo(run.model_dump_json() if as_json else run.run_id)
            return
        run = _follow(client, run.run_id)
    _finish(run, as_json=as_json)


@app.command()
def status(run_id: RunId, *, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Show a run as it stands."""
    with TrainyardClient(url, token=token) as client:
        _print(client.get(run_id), as_json=as_json)


@app.command(epilog=EXIT_CODES)
def wait(
    run_id: RunId, *, timeout: Annotated[float | None, typer.Option(min=0.0, help="Seconds to wait at most")] = None,
    as_json: AsJson = False, url: Url = None, token: Token = None,
) -> None:
    """Wait until a run ends, also over restarts of its service; the exit code tells how it ended."""
    with TrainyardClient(url, token=token) as client:
        client.get(run_id)  # a wrong address or id is said at once
        run = _follow(client, run_id, timeout)
    if not run.status.ended:
        console_on(stderr=True).print(f"{run_id} is still {run.status}")
        raise typer.Exit(Exit.TIMED_OUT)
    _finish(run, as_json=as_json)


@app.command()
def logs(
    run_id: RunId, *, follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends")] = False,
    tail: Annotated[int | None, typer.Option(min=1, help="Only so many last lines, at first")] = None,
    url: Url = None, token: Token = None,
) -> None:
    """Print what a run printed."""
    with TrainyardClient(url, token=token) as client, _interruptible(run_id):
        if not follow:
            typer.echo(client.logs(run_id, tail=tail), nl=False)
            return
        for line in client.follow_logs(run_id, tail=tail):
            typer.echo(line)


@app.command()
def cancel(run_id: RunId, *, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Cancel a run, and wait until it has ended."""
    with TrainyardClient(url, token=token) as client:
        run = client.cancel(run_id)
        if not run.status.ended:
            run = client.wait(run_id)
    typer.echo(run.model_dump_json() if as_json else f"{run.run_id} {run.status}")


@app.command("list")
def list_runs(  # noqa: PLR0913 - one option each
    *,
    status: Annotated[RunStatus | None, typer.Option(case_sensitive=False, help="Only runs of this status")] = None,
    model: Annotated[str | None, typer.Option(help="Only runs of this model")] = None,
    experiment: Annotated[str | None, typer.Option(help="Only runs of this experiment")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended")] = None,
    as_json: AsJson = False, url: Url = None, token: Token = None,
) -> None:
    """List runs, newest first."""
    with TrainyardClient(url, token=token) as client:
        page = client.list(status=status, model=model, experiment=experiment, limit=limit, cursor=cursor)
    if as_json:
        typer.echo(page.model_dump_json())
    else:
        show_page(console_on(), page)


@app.command()
def models(
    model: Annotated[str | None, typer.Argument(help="One model, with its params")] = None, *,
    as_json: AsJson = False, url: Url = None, token: Token = None,
) -> None:
    """Show what the service trains, or one model's params."""
    with TrainyardClient(url, token=token) as client:
        found = [client.model(model)] if model else client.models()
    if as_json:
        typer.echo(found[0].model_dump_json() if model else json.dumps([each.model_dump(mode="json") for each in found]))
    elif model:
        show_model(console_on(), found[0])
    else:
        show_models(console_on(), found)


@app.command()
def datasets(*, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Show the builtin data sets, and the files below the data roots."""
    with TrainyardClient(url, token=token) as client:
        found = client.datasets()
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in found]))
    else:
        show_datasets(console_on(), found)


@app.command(epilog=EXIT_CODES)
def promote(  # noqa: PLR0913 - one option each
    name: str, version: str, *, metric: Annotated[str, typer.Option(help="The metric to compare, such as test_roc_auc")],
    alias: Alias = "champion",
    lower_is_better: Annotated[bool, typer.Option("--lower-is-better", help="For losses and errors")] = False,
    min_delta: Annotated[float, typer.Option(help="By how much it must be better")] = 0.0,
) -> None:
    """Give the alias to a version if its metric beats the holder's (MLFLOW_TRACKING_URI)."""
    try:
        rule = Promote(alias=alias, metric=metric, greater_is_better=not lower_is_better, min_delta=min_delta)
    except ValidationError as error:
        raise Invalid(errors=complaints(error, Promote)) from error
    with reachable_registry() as (registry, client):
        decision = registry.promote(client, name=name, version=version, rule=rule, locks=locks_dir())
    typer.echo(decision.text)
    raise typer.Exit(Exit.FINISHED if decision.promoted else Exit.RUN_FAILED)


@app.command()
def rollback(name: str, *, alias: Alias = "champion") -> None:
    """Give the alias back to the version that held it before (MLFLOW_TRACKING_URI)."""
    with reachable_registry() as (registry, client):
        version = registry.rollback(client, name=name, alias=alias, locks=locks_dir())
    typer.echo(f"{alias} of {name} is version {version}")


@app.command()
def serve() -> None:
    """Serve the models of the service that is installed here; settings are TRAINYARD_… variables."""
    settings, service = installed()
    from trainyard.api.server import serve as serve_api

    serve_api(service, settings)


@app.command("run", epilog=EXIT_CODES)
def run_once(
    request: Annotated[str, typer.Argument(help="The request as JSON: itself, a file that holds it, or - for standard input")], *, as_json: AsJson = False
) -> None:
    """Train once in the foreground, without a server; an interrupt cancels. For a one-shot container."""
    try:
        wanted = TrainRequest.model_validate_json(json.dumps(read_request(request)))
    except ValidationError as error:
        raise Invalid(errors=complaints(error, TrainRequest)) from error
    settings, service = installed()
    from trainyard.api.once import run_once as train_once

    with LiveRunView(console_on(stderr=True)) as view:
        run = train_once(service, settings, wanted, on_change=view.show)
    _finish(run, as_json=as_json)


def main() -> None:
    """The program."""
    app()


def _explain(error: TrainyardError) -> Exit:
    """Say what went wrong, on standard error."""
    lines = [f"{each.pointer}: {each.detail}" for each in getattr(error, "errors", ())] or [error.detail]
    for line in lines:
        console_on(stderr=True).print(line)
    if may_pass(error) or isinstance(error, ForeignAnswer):
        return Exit.UNREACHABLE
    return Exit.BAD_REQUEST if isinstance(error, RequestError | ServiceError) else Exit.RUN_FAILED


def _submit(client: TrainyardClient, wanted: dict[str, Any], key: str | None) -> Run:
    chosen = key or str(uuid.uuid4())
    try:
        return client.submit(wanted, idempotency_key=chosen)
    except Unreachable:
        console_on(stderr=True).print(f"With --key {chosen} the same command trains no second time, should this request have arrived.")
        raise


def _follow(client: TrainyardClient, run_id: str, timeout_seconds: float | None = None) -> Run:
    with _interruptible(run_id), LiveRunView(console_on(stderr=True)) as view:
        return client.wait(run_id, timeout_seconds=timeout_seconds, on_change=view.show, on_away=view.away)


@contextmanager
def _interruptible(run_id: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console_on(stderr=True).print(f"The run goes on. To cancel it: trainyard cancel {run_id}")
        raise typer.Exit(Exit.INTERRUPTED) from None


def _print(run: Run, *, as_json: bool) -> None:
    if as_json:
        typer.echo(run.model_dump_json())
    else:
        show_run(console_on(), run)


def _finish(run: Run, *, as_json: bool) -> None:
    _print(run, as_json=as_json)
    raise typer.Exit(Exit.FINISHED if run.status is RunStatus.FINISHED else Exit.RUN_FAILED)


if __name__ == "__main__":
    main()
