"""A run's checkpoints where another host finds them, where the service names such a place."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from trainyard.errors import CheckpointsAway
from trainyard.launcher.messages import Job
from trainyard.rundir.checkpoint_store import CheckpointStore


def taken(job: Job, folder: Path, name: str = "") -> CheckpointStore | None:
    """The run's store, whose newest checkpoint is in the folder now; None where there is none. Raises `CheckpointsAway`.

    `name` is for another store of the run, beside that of its checkpoints.
    """
    folder.mkdir(exist_ok=True)
    if not job.checkpoints:
        return None
    store = CheckpointStore(job.checkpoints, job.submission.run_id, job.access, name)
    try:
        store.take(folder)
    except OSError as error:
        raise CheckpointsAway(
            f"TRAINYARD_CHECKPOINTS ({job.checkpoints}) cannot be read on this host: {error}"
        ) from error
    return store


def given(store: CheckpointStore, folder: Path, report: Callable[..., None], **told: Any) -> None:
    """`Training.report`, whose `save` gives the checkpoint to the store too. One that is not kept there does no harm."""
    save = told.get("save")
    if save is not None:
        told["save"] = partial(_saved, save, store, folder)
    report(**told)


def _saved(save: Callable[[], object], store: CheckpointStore, folder: Path) -> None:
    save()
    try:
        store.give(folder)
    except OSError as error:
        sys.stdout.write(f"a checkpoint is not kept in TRAINYARD_CHECKPOINTS: {error}\n")
