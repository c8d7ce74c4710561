"""How a command ends: with an exit code, and on standard error what went wrong."""

from enum import IntEnum
from typing import Any

import typer
from typer.core import TyperGroup

from trainyard.cli.display import console_on
from trainyard.client import ForeignAnswer, may_pass
from trainyard.client.calls import retry_after_seconds
from trainyard.errors import RequestError, ServiceError, TrainyardError


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
    "124 still under way when --timeout passed; 130 interrupted, and the run goes on, or is cancelled all the same."
)


class Commands(TyperGroup):
    """The commands, whose errors become a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except TrainyardError as error:
            raise typer.Exit(explain(error)) from error


def explain(error: TrainyardError) -> Exit:
    """Say what went wrong, on standard error."""
    lines = [f"{each.pointer}: {each.detail}" for each in getattr(error, "errors", ())] or [
        error.detail
    ]
    for line in lines:
        console_on(stderr=True).print(line)
    if seconds := retry_after_seconds(error):
        console_on(stderr=True).print(f"Try again in {seconds:.0f} s.")
    if may_pass(error) or isinstance(error, ForeignAnswer):
        return Exit.UNREACHABLE
    return Exit.BAD_REQUEST if isinstance(error, RequestError | ServiceError) else Exit.RUN_FAILED
