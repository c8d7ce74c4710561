"""The file that a command leaves a run in, for programs that should not have to read what it printed."""

import os
from pathlib import Path

import typer

from trainyard.contract import Run
from trainyard.errors import ServiceError


def checked(path: Path | None) -> Path | None:
    """The path that --output names, if a file can be made there: better said before a training than after it."""
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK)):
        raise typer.BadParameter(
            f"{path} cannot be written: name a file in a folder that exists and may be written to"
        )
    return path


def write_run(path: Path, run: Run) -> None:
    """Write the run as JSON. Whoever reads the file finds this run whole, or what was there before."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(run.model_dump_json(by_alias=True))
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ServiceError(
            f"run {run.run_id} ended {run.status}, and {path} (--output) cannot be written: {error}"
        ) from error
