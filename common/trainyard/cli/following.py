"""What several commands do with a run: submit it, follow it to its end, show it, and end as it ended."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from trainyard.cli.display import LiveRunView, console_on, show_run
from trainyard.cli.exits import Exit
from trainyard.client import TrainyardClient, Unreachable
from trainyard.contract import Run, RunStatus


def submit_new(submit: Callable[..., Run], wanted: dict[str, Any], key: str | None) -> Run:
    """Submit under the key, or under a new one, which is named where nobody knows whether the request arrived."""
    chosen = key or str(uuid.uuid4())
    try:
        return submit(wanted, idempotency_key=chosen)
    except Unreachable:
        console_on(stderr=True).print(
            f"With --key {chosen} the same command makes no second run, should this request have arrived."
        )
        raise


def see_through(  # noqa: PLR0913 - what both commands that submit were given
    client: TrainyardClient,
    submit: Callable[..., Run],
    wanted: dict[str, Any],
    *,
    key: str | None,
    detach: bool,
    as_json: bool,
) -> None:
    """Submit, follow to the end and end the command as the run ended; detached, print the run's id alone."""
    run = submit_new(submit, wanted, key)
    if detach:
        typer.echo(run.model_dump_json() if as_json else run.run_id)
        return
    exit_as(follow_to_end(client, run.run_id), as_json=as_json)


def follow_to_end(
    client: TrainyardClient,
    run_id: str,
    timeout_seconds: float | None = None,
    *,
    cancelled: bool = False,
) -> Run:
    """Show a bar until the run ends, or until the time is over; the run as it then stands."""
    with interruptible(run_id, cancelled=cancelled), LiveRunView(console_on(stderr=True)) as view:
        return client.wait(
            run_id, timeout_seconds=timeout_seconds, on_change=view.show, on_away=view.away
        )


@contextmanager
def interruptible(run_id: str, *, cancelled: bool = False) -> Iterator[None]:
    """An interrupt ends the command and changes nothing for the run, and says so."""
    goes_on = f"The run goes on. To cancel it: trainyard cancel {run_id}"
    try:
        yield
    except KeyboardInterrupt:
        said = "The run is cancelled all the same." if cancelled else goes_on
        console_on(stderr=True).print(said)
        raise typer.Exit(Exit.INTERRUPTED) from None


def print_run(run: Run, *, as_json: bool) -> None:
    """Print the run, for people or as JSON."""
    if as_json:
        typer.echo(run.model_dump_json())
    else:
        show_run(console_on(), run)


def exit_as(run: Run, *, as_json: bool) -> None:
    """Print the run, and end the command as it ended."""
    print_run(run, as_json=as_json)
    raise typer.Exit(Exit.FINISHED if run.status is RunStatus.FINISHED else Exit.RUN_FAILED)
