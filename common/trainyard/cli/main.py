"""`trainyard`: train, score, watch and promote from a terminal or a script."""

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from trainyard.cli.display import (
    LiveRunView,
    console_on,
    show_capacity,
    show_datasets,
    show_model,
    show_models,
    show_page,
    show_preview,
    show_usage,
)
from trainyard.cli.exits import EXIT_CODES, Commands, Exit
from trainyard.cli.following import exit_as, follow_to_end, interruptible, print_run, see_through
from trainyard.cli.installation import installed
from trainyard.cli.options import AsJson, Detach, Key, Token, Url
from trainyard.cli.request_source import read_request, request_of, seen_data
from trainyard.cli.run_file import checked, write_run
from trainyard.cli.score import score
from trainyard.cli.tokens import tokens
from trainyard.client import TrainyardClient, Unreachable
from trainyard.contract import Priority, RunStatus, TrainRequest
from trainyard.errors import Invalid, Unavailable
from trainyard.field_errors import complaints
from trainyard.uncollected import uncollected

app = typer.Typer(
    cls=Commands,
    help=__doc__,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunId = Annotated[str, typer.Argument(help="The run's id", show_default=False)]
REPEATING = (
    "It may have been rolled back all the same. Before you ask again, see which version holds the alias now, and name the"
    " one that is to lose it with --holder: another call without it goes one version further back."
)
Alias = Annotated[str, typer.Option(help="The alias to move")]
By = Annotated[str | None, typer.Option(help="Who asks, for the decision's text")]
Comment = Annotated[str | None, typer.Option(help="Why, for the decision's text")]
Search = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=LOW..HIGH",
        help="Search this param: NAME=3..10, NAME=0.01..0.3:log, NAME=one,other; again for another",
    ),
]
Param = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="NAME=VALUE", help="A param; again for another"),
]
RegisterAs = Annotated[
    str | None, typer.Option(metavar="NAME", help="Register the model under this name")
]
Before = Annotated[
    Priority | None, typer.Option(help="Before which runs it starts; normal by default")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes that train it together; 1 by default")
]
Trials = Annotated[
    int | None,
    typer.Option(min=1, help="Search with so many trials; the model's own space by default"),
]


@app.command(epilog=EXIT_CODES)
def train(  # noqa: PLR0913 - one option each
    request: Annotated[
        str | None,
        typer.Argument(
            help="The request as JSON: itself, a file that holds it, or - for standard input"
        ),
    ] = None,
    *,
    model: Annotated[str | None, typer.Option(help="The model, instead of the file's")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="The data: a builtin's name, a table (with --target), or images"),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The table's column to predict")] = None,
    param: Param = None,
    search: Search = None,
    trials: Trials = None,
    register: RegisterAs = None,
    priority: Before = None,
    workers: Workers = None,
    key: Key = None,
    detach: Detach = False,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Submit a training, follow it with a bar, and show its metrics and links."""
    wanted = request_of(
        request,
        model=model,
        data=data,
        target=target,
        params=param or [],
        register=register,
        search=search or [],
        trials=trials,
        priority=priority,
        workers=workers,
    )
    with TrainyardClient(url, token=token) as client:
        see_through(client, client.submit, wanted, key=key, detach=detach, as_json=as_json)


app.command(epilog=EXIT_CODES)(score)
app.add_typer(tokens, name="token")


@app.command()
def status(run_id: RunId, *, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Show a run as it stands."""
    with TrainyardClient(url, token=token) as client:
        print_run(client.get(run_id), as_json=as_json)


@app.command(epilog=EXIT_CODES)
def wait(
    run_id: RunId,
    *,
    timeout: Annotated[float | None, typer.Option(min=0.0, help="Seconds to wait at most")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Wait until a run ends, also over restarts of its service; the exit code tells how it ended."""
    with TrainyardClient(url, token=token) as client:
        client.get(run_id)  # a wrong address or id is said at once
        run = follow_to_end(client, run_id, timeout)
    if not run.status.ended:
        console_on(stderr=True).print(f"{run_id} is still {run.status}")
        raise typer.Exit(Exit.TIMED_OUT)
    exit_as(run, as_json=as_json)


@app.command()
def logs(
    run_id: RunId,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends")
    ] = False,
    tail: Annotated[
        int | None, typer.Option(min=1, help="Only so many last lines, at first")
    ] = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Print what a run printed."""
    with TrainyardClient(url, token=token) as client, interruptible(run_id):
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
            run = follow_to_end(client, run_id, cancelled=True)
    typer.echo(run.model_dump_json() if as_json else f"{run.run_id} {run.status}")


@app.command("list")
def list_runs(  # noqa: PLR0913 - one option each
    *,
    status: Annotated[
        RunStatus | None, typer.Option(case_sensitive=False, help="Only runs of this status")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only runs of this model")] = None,
    experiment: Annotated[str | None, typer.Option(help="Only runs of this experiment")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """List runs, newest first."""
    with TrainyardClient(url, token=token) as client:
        page = client.list(
            status=status, model=model, experiment=experiment, limit=limit, cursor=cursor
        )
    if as_json:
        typer.echo(page.model_dump_json())
    else:
        show_page(console_on(), page)


@app.command()
def models(
    model: Annotated[str | None, typer.Argument(help="One model, with its params")] = None,
    *,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Show what the service trains, or one model's params."""
    with TrainyardClient(url, token=token) as client:
        found = [client.model(model)] if model else client.models()
    if as_json:
        typer.echo(
            found[0].model_dump_json()
            if model
            else json.dumps([each.model_dump(mode="json") for each in found])
        )
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


@app.command()
def preview(
    data: Annotated[
        str,
        typer.Argument(
            help="The data: a builtin's name, a table, images, or JSON as in a request's data"
        ),
    ],
    *,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Show the columns of data, their types, and what to read before training on it."""
    with TrainyardClient(url, token=token) as client:
        found = client.preview(seen_data(data))
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        show_preview(console_on(), found)


@app.command()
def capacity(*, as_json: AsJson = False, url: Url = None, token: Token = None) -> None:
    """Show what the service has of slots, CPUs, GPUs and memory, which runs have it, and which wait."""
    with TrainyardClient(url, token=token) as client:
        found = client.capacity()
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        show_capacity(console_on(), found)


@app.command()
def usage(
    month: Annotated[
        str | None, typer.Argument(help="This month alone, as in 2026-11", show_default=False)
    ] = None,
    *,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Show what each team used in each month, by runs that have ended."""
    with TrainyardClient(url, token=token) as client:
        found = client.usage(month)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        show_usage(console_on(), found)


@app.command(epilog=EXIT_CODES)
def promote(  # noqa: PLR0913 - one option each
    run_id: RunId,
    *,
    reject: Annotated[
        bool, typer.Option("--reject", help="Move nothing, and say so on the version")
    ] = False,
    by: By = None,
    comment: Comment = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Decide about a run that was judged, by the rule of its request; see `promote.when`."""
    with TrainyardClient(url, token=token) as client:
        found = client.promote(run_id, approved=not reject, by=by, comment=comment)
    typer.echo(found.model_dump_json() if as_json else found.decision)
    raise typer.Exit(Exit.FINISHED if found.promoted or reject else Exit.RUN_FAILED)


@app.command(epilog=EXIT_CODES)
def rollback(  # noqa: PLR0913 - one option each
    name: Annotated[str, typer.Argument(help="The registered model", show_default=False)],
    *,
    alias: Alias = "champion",
    holder: Annotated[
        str | None,
        typer.Option(help="The version that is to lose it; said, a repeated call goes back once"),
    ] = None,
    by: By = None,
    comment: Comment = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Give the alias back to the version that held it before; again, to the one before that."""
    with TrainyardClient(url, token=token) as client:
        try:
            found = client.rollback(name, alias=alias, holder=holder, by=by, comment=comment)
        except (Unreachable, Unavailable):
            if holder is None:
                typer.echo(REPEATING, err=True)
            raise
    typer.echo(found.model_dump_json() if as_json else found.decision)


@app.command()
def serve() -> None:
    """Serve the models of the service that is installed here; settings are TRAINYARD_… variables."""
    settings, service = installed()
    with uncollected():
        from trainyard.api.server import serve as serve_api

    serve_api(service, settings)


@app.command(
    epilog=EXIT_CODES, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def join(
    context: typer.Context,
    *,
    service: Annotated[
        str | None,
        typer.Option(
            help="The name of the service; that of TRAINYARD_INSTANCE or of the one installed here by default"
        ),
    ] = None,
) -> None:
    """Offer this host's slots, CPUs, GPUs and memory to a service, in the Ray cluster of RAY_ADDRESS, until it ends.

    What else is given goes to `ray start`, such as --node-manager-port=6380.
    """
    settings, own = installed()
    from trainyard.host.joining import join as join_cluster

    join_cluster(settings, service or settings.instance or own.name, context.args)


@app.command(
    epilog=EXIT_CODES, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def head(
    context: typer.Context,
    *,
    address: Annotated[str, typer.Option(help="This host's address in the cluster")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port that hosts join at")] = 6379,
) -> None:
    """Be the head of a Ray cluster that hosts and services join, until it ends. It runs nothing itself.

    What else is given goes to `ray start`.
    """
    from trainyard.host.joining import lead

    lead(address, port, context.args)


@app.command("run", epilog=EXIT_CODES)
def run_once(
    request: Annotated[
        str,
        typer.Argument(
            help="The request as JSON: itself, a file that holds it, or - for standard input"
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the run as it ended to this file too, as JSON",
            callback=checked,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train once in the foreground, without a server; an interrupt cancels. For a one-shot container."""
    try:
        wanted = TrainRequest.model_validate_json(json.dumps(read_request(request)))
    except ValidationError as error:
        raise Invalid(errors=complaints(error, TrainRequest)) from error
    settings, service = installed()
    with uncollected():
        from trainyard.supervisor.once import run_once as train_once

    with LiveRunView(console_on(stderr=True)) as view:
        run = train_once(service, settings, wanted, on_change=view.show)
    if output:
        write_run(output, run)
    exit_as(run, as_json=as_json)


def main() -> None:
    """The program."""
    app()
