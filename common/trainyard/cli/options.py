"""Options that several commands have."""

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(help="The service; TRAINYARD_URL, or http://127.0.0.1:8001, by default"),
]
Token = Annotated[str | None, typer.Option(help="Its token; TRAINYARD_TOKEN by default")]
Key = Annotated[str | None, typer.Option(help="Idempotency-Key; a new one by default")]
Detach = Annotated[bool, typer.Option("--detach", help="Submit, print the run's id, and leave")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output")
]
