"""What the ranks beside rank 0 do: train on their share of the rows, or the trials of a search, and say nothing of it to MLflow."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainyard.contract import Phase
from trainyard.launcher.messages import Job, PhaseEntered
from trainyard.rundir.folder import RunFolder
from trainyard.trainer import Trainer, Training
from trainyard.worker.checkpoints import taken
from trainyard.worker.line import RunLine
from trainyard.worker.meeting import world_of
from trainyard.worker.reporting import finite
from trainyard.worker.search.along import train_trials
from trainyard.worker.search.trial import trials_of
from trainyard.worker.training_run import asked, load_for, params_of, seed_global_generators
from trainyard.worker.workers import begun
from trainyard.world import World


def train_along(job: Job, trainer: Trainer, line: RunLine) -> None:
    """Train with the others, and tell the service once that is done. Raises as `train_and_log` does."""
    request, world = asked(job), world_of(job, line)
    seed_global_generators(request.seed)
    data = load_for(job, request, trainer)
    begun(world, data)
    if request.search:
        temporary = Path(tempfile.gettempdir())
        train_trials(trials_of(job, request, trainer, data, temporary), world, job.threads)
    else:
        trainer.train(
            params_of(trainer, request.params), data, quiet_training(job, request.seed, world)
        )
    line.send(PhaseEntered(sequence=1, phase=Phase.EVALUATING))


def quiet_training(job: Job, seed: int, world: World) -> Training:
    """What the trainer may use: what it reports is looked at and forgotten, and it saves nothing. Raises `CheckpointsAway`."""
    folder = RunFolder(job.folder).checkpoints
    taken(job, folder)
    return Training(
        seed=seed,
        threads=job.threads,
        checkpoints=folder,
        report=_looked_at,
        checkpoint_due=lambda: False,
        note=_to_the_log,
        halvings=job.halvings,
        world=world,
    )


def _looked_at(
    *,
    done: int,
    total: int,
    unit: str,
    metrics: Mapping[str, Any],
    save: Callable[[], object] | None = None,
) -> None:
    del total, save
    finite(metrics, f"{unit} {done}")


def _to_the_log(message: str) -> None:
    sys.stdout.write(f"{message}\n")
