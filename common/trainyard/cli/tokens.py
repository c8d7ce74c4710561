"""`trainyard token`: who may do what, in the file that `TRAINYARD_TOKENS_FILE` names."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from trainyard.cli.display import console_on
from trainyard.cli.options import AsJson
from trainyard.contract import Role
from trainyard.errors import ServiceError

LOCK_SECONDS = 10
tokens = typer.Typer(
    help="Give people tokens, and take them back: a service reads its file again when it changes.",
    no_args_is_help=True,
)
File = Annotated[
    Path,
    typer.Option(
        envvar="TRAINYARD_TOKENS_FILE",
        help="The file of tokens; `add` makes it where there is none",
        dir_okay=False,
    ),
]
Person = Annotated[str, typer.Argument(help="Whose token it is", show_default=False)]


@tokens.command()
def add(
    name: Person,
    *,
    file: File,
    role: Annotated[
        Role, typer.Option(help="What it opens; each role may do what those before may")
    ],
    team: Annotated[str | None, typer.Option(help="Their team")] = None,
) -> None:
    """Make a token and print it, this once: the file has its hash alone."""
    with _changing(file) as (kept, write):
        changed, token = kept.with_token(name, role=role, team=team)
        write(changed)
    typer.echo(token)


@tokens.command("list")
def list_tokens(*, file: File, as_json: AsJson = False) -> None:
    """Show who has a token."""
    read, _, _ = _library()
    found = [each.model_dump(mode="json", exclude={"sha256"}) for each in read(file).tokens]
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("name", "team", "role", "made", box=None)
    for each in found:
        table.add_row(each["name"], each["team"] or "", each["role"], each["made"])
    console_on().print(table)


@tokens.command()
def revoke(name: Person, *, file: File) -> None:
    """Take a token back: it opens nothing from the next call on."""
    with _changing(file) as (kept, write):
        write(kept.without(name))
    typer.echo(f"{name} has no token any more")


@contextmanager
def _changing(file: Path) -> Iterator[tuple[Any, Any]]:
    """What the file holds, and how to write it, while nobody else changes it."""
    read, write, new = _library()
    from filelock import FileLock, Timeout

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=LOCK_SECONDS):
            yield read(file) if file.exists() else new(), lambda changed: write(file, changed)
    except Timeout as error:
        raise ServiceError(
            f"somebody else has been changing {file} for {LOCK_SECONDS} s"
        ) from error
    except OSError as error:
        raise ServiceError(f"{file} cannot be changed: {error}") from error


def _library() -> tuple[Any, Any, Any]:
    try:
        from trainyard.people.tokens import Tokens, read_tokens, write_tokens
    except ImportError as error:
        raise ServiceError(f"this needs trainyard[service]: {error}") from error
    return read_tokens, write_tokens, Tokens
