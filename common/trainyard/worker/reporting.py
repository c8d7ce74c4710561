"""What a training says of itself while it goes on: its phase, progress, metrics and notes."""

import math
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn, SupportsFloat

from trainyard.contract import Phase, Reason
from trainyard.errors import Diverged
from trainyard.launcher.messages import Job, Noted, PhaseEntered, Progressed, Warned
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.metric_journal import Journal, Measured
from trainyard.trainer import Interrupted, Training
from trainyard.worker.at_locks import hear_again, interrupted_by, is_at_a_lock
from trainyard.worker.checkpoints import given, taken
from trainyard.worker.curve import Curve
from trainyard.worker.failures import classified
from trainyard.worker.line import RunLine
from trainyard.worker.meeting import world_of
from trainyard.world import World

CHECKPOINT_SECONDS = 15.0
TELL_SECONDS = 0.1
LONGEST_NOTE = 500
MOST_NOTES = 200


class Progress:
    """The run's phase, progress and metrics: to the service at once, to MLflow by the step."""

    def __init__(
        self, line: RunLine, run_id: str, journal: Journal, first: Phase = Phase.STARTING
    ) -> None:
        self._line = line
        self._run_id = run_id
        self._journal = journal
        self.phase = first
        self._curves: dict[str, Curve] = {}
        self.stopping = False
        self._interrupted = False
        self._asks_when_to_save = False
        self._best: Mapping[str, float] = {}
        self._saved = time.monotonic()
        self._told = 0.0
        self._started: tuple[float, int] | None = None
        self._sequence = 0
        self._notes = 0
        signal.signal(signal.SIGTERM, self._asked_to_stop)

    @property
    def history(self) -> dict[str, list[tuple[int, float]]]:
        """The metrics by name, each as points (step, value); thinned out where there are thousands."""
        return {name: curve.points for name, curve in self._curves.items()}

    def enter(self, phase: Phase) -> None:
        """Begin a phase. Raises `Interrupted` when the run was asked to stop."""
        self.phase = phase
        self._line.send(PhaseEntered(sequence=self._next(), phase=phase))
        self.heed()

    def heed(self) -> None:
        """Raises `Interrupted` when the run was asked to stop, also where a library passed over that."""
        if self.stopping:
            self._interrupt()

    def report(
        self,
        *,
        done: int,
        total: int,
        unit: str,
        metrics: Mapping[str, SupportsFloat],
        save: Callable[[], object] | None = None,
    ) -> None:
        """After a round or epoch: see `Training.report`. Metrics may be whatever `float` takes, such as numpy's."""
        measured = Measured(int(done), int(time.time() * 1000), finite(metrics, f"{unit} {done}"))
        if measured.metrics:
            self._journal.write(measured)
        if save:
            save()
        if measured.metrics:
            for each in (*self._journal.before(measured.step), measured):
                self._keep(each)
        self._tell(measured, int(total), str(unit))
        if self.stopping and (save or not self._asks_when_to_save):
            self._interrupt()

    def searched(self, told: Progressed, at: int) -> None:
        """How far a search is, since `at` in milliseconds since 1970; its metrics are the best so far.

        MLflow is told of what is better than before. They are no part of the run's journal: the study has them.
        """
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        if told.metrics and told.metrics != self._best:
            self._best = told.metrics
            found = [Metric(name, value, at, told.done) for name, value in told.metrics.items()]
            MlflowClient().log_batch(self._run_id, found)
        self._line.send(told.model_copy(update={"sequence": self._next()}))

    def trained(self) -> None:
        """The training is over. What earlier processes measured goes to MLflow even where this one had no round left to train.

        Ranks meet no more: from here on a wait of this thread is broken off where the run is asked to stop.
        """
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        for each in self._journal.before(math.inf):
            self._keep(each)

    def note(self, message: str) -> None:
        """Tell people something about the run: the log has it whole; the service the beginning, and so many of them."""
        text = _sayable(message)
        sys.stdout.write(f"{text}\n")
        self._notes += 1
        if self._notes < MOST_NOTES:
            self._line.send(Noted(sequence=self._next(), message=text[:LONGEST_NOTE]))
        elif self._notes == MOST_NOTES:
            last = f"{MOST_NOTES - 1} notes are enough; those that follow are in the log alone"
            self._line.send(Noted(sequence=self._next(), message=last))

    @contextmanager
    def interruptions(self) -> Iterator[None]:
        """An interruption that was made another error on its way, as pydantic does with all that a serializer raises, is one.

        So is a crash after the run was asked to stop: of a training whose own processes have ended by the same signal.
        """
        try:
            yield
        except Exception as error:
            if self._interrupted:
                raise Interrupted from error
            if self.stopping and classified(error).reason is Reason.CRASHED:
                traceback.print_exception(error)
                raise Interrupted from error
            raise

    def world(self, job: Job) -> World:
        """The ranks of the run, where there are several."""
        return world_of(job, self._line, self.heed)

    def warn(self, warnings: Sequence[str]) -> list[str]:
        """Tell people what they should read about the data: the log has it whole, and the service as it is returned."""
        texts = [_sayable(each) for each in warnings]
        for text in texts:
            sys.stdout.write(f"warning: {text}\n")
        cut = [text[:LONGEST_NOTE] for text in texts]
        if cut:
            self._line.send(Warned(sequence=self._next(), warnings=tuple(cut)))
        return cut

    def checkpoint_due(self) -> bool:
        """Whether it is time to save a checkpoint: the report after it may be the one that stops the run.

        A trainer that asks is stopped by a report that saves alone: the signal may come between its question
        and its report, and the rounds since the last checkpoint would be trained and reported again.
        """
        now = time.monotonic()
        self._asks_when_to_save = True
        if self.stopping or now - self._saved >= CHECKPOINT_SECONDS:
            self._saved = now
            return True
        return False

    def _tell(self, measured: Measured, total: int, unit: str) -> None:
        now, done = time.monotonic(), measured.step
        self._started = self._started or (now, done)
        if now - self._told < TELL_SECONDS and done < total:
            return
        self._told = now
        self._line.send(
            Progressed(
                sequence=self._next(),
                done=done,
                total=total,
                unit=unit,
                eta_seconds=self._eta(now, done, total),
                metrics=measured.metrics,
            )
        )

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _eta(self, now: float, done: int, total: int) -> float | None:
        if self._started is None or done <= self._started[1]:
            return None
        return round((now - self._started[0]) / (done - self._started[1]) * (total - done), 1)

    def _keep(self, measured: Measured) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        for name, value in measured.metrics.items():
            self._curves.setdefault(name, Curve()).add(measured.step, value)
        # MLflow takes what it has already as the same.
        MlflowClient().log_batch(
            self._run_id,
            [
                Metric(name, value, measured.at, measured.step)
                for name, value in measured.metrics.items()
            ],
        )

    def _asked_to_stop(self, _: int, frame: FrameType | None) -> None:
        self.stopping = True
        if self.phase in {Phase.SEARCHING, Phase.TRAINING, Phase.REGISTERING}:
            return
        if is_at_a_lock(interrupted_by(Progress._asked_to_stop.__code__, frame)):
            hear_again(self._asked_to_stop)
        else:
            self._interrupt()

    def _interrupt(self) -> NoReturn:
        self._interrupted = True
        raise Interrupted


def training(job: Job, folder: RunFolder, seed: int, progress: Progress, world: World) -> Training:
    """What the trainer may use. Raises `CheckpointsAway`."""
    store = taken(job, folder.checkpoints)
    report: Callable[..., None] = progress.report
    if store:
        report = partial(given, store, folder.checkpoints, progress.report)
    return Training(
        seed=seed,
        threads=job.threads,
        checkpoints=folder.checkpoints,
        report=report,
        checkpoint_due=progress.checkpoint_due,
        note=progress.note,
        halvings=job.halvings,
        world=world,
    )


def _sayable(message: object) -> str:
    """As text that any log and any JSON can hold."""
    return str(message).encode("utf-8", "backslashreplace").decode()


def finite(metrics: Mapping[str, Any], when: str) -> dict[str, float]:
    """The metrics as plain numbers. Raises `Diverged` for one that is no number any more."""
    numbers = {str(name): float(value) for name, value in metrics.items()}
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} became {value} at {when}")
    return numbers
