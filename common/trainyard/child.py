"""What happens inside a run's process, from the fork to `outcome.json`."""

import json
import math
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel
from threadpoolctl import ThreadpoolController

from trainyard.contract import Phase, Reason
from trainyard.errors import DiskFull, Diverged, OutOfMemory, RunError
from trainyard.folder import Outcome, RunFolder
from trainyard.journal import Journal, Measured
from trainyard.settings import DataAccess
from trainyard.trainer import Interrupted, Trainer, Training

EXIT_BROKEN = 70
EXIT_INTERRUPTED = 75
CHECKPOINT_SECONDS = 15.0


class Job(BaseModel):
    """What the service hands to a run's process."""

    folder: Path
    socket: str
    model: str
    service: str
    tracking_uri: str
    threads: int
    roots: tuple[Path, ...]
    data_dir: Path
    http_hosts: tuple[str, ...]
    s3_endpoint: str | None
    locks: Path
    patience_seconds: float
    git_commit: str
    halvings: int = 0
    environment: dict[str, str] = {}

    @property
    def data_access(self) -> DataAccess:
        """Where data may come from."""
        return DataAccess(self.roots, self.data_dir, self.http_hosts, self.s3_endpoint)


class Channel:
    """The line to the service: what happens goes there; when it breaks, the run's processes end."""

    def __init__(self, path: str, run_id: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._lock = threading.Lock()
        self.send(hello="run", run_id=run_id, pid=os.getpid())
        threading.Thread(target=self._end_with_the_service, name="service-watch", daemon=True).start()

    def send(self, **message: Any) -> None:
        """Tell the service; a service that is gone is the watcher's business."""
        with self._lock, suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _end_with_the_service(self) -> None:
        with suppress(OSError):
            while self._socket.recv(4096):
                pass
        os.killpg(0, signal.SIGKILL)


class Progress:
    """The run's phase, progress and metrics: to the service at once, to MLflow by the step."""

    def __init__(self, channel: Channel, run_id: str, journal: Journal, first: Phase = Phase.STARTING) -> None:
        self._channel = channel
        self._run_id = run_id
        self._journal = journal
        self.phase = first
        self.history: dict[str, list[tuple[int, float]]] = {}
        self.stopping = False
        self._asks_when_to_save = False
        self._saved = time.monotonic()
        self._told = 0.0
        self._started: tuple[float, int] | None = None
        signal.signal(signal.SIGTERM, self._asked_to_stop)

    def enter(self, phase: Phase) -> None:
        """Begin a phase. Raises `Interrupted` when the run was asked to stop."""
        self.phase = phase
        self._channel.send(event="phase", phase=phase)
        if self.stopping and phase is not Phase.REGISTERING:
            raise Interrupted

    def report(self, *, done: int, total: int, unit: str, metrics: Mapping[str, float], save: Callable[[], object] | None = None) -> None:
        """After a round or epoch: see `Training.report`."""
        for name, value in metrics.items():
            if not _finite(value):
                message = f"{name} became {value} at {unit} {done}"
                raise Diverged(message)
        measured = Measured(done, int(time.time() * 1000), {name: float(value) for name, value in metrics.items()})
        if metrics:
            self._journal.write(measured)
        if save:
            save()
        if metrics:
            for each in (*self._journal.before(done), measured):
                self._keep(each)
        now = time.monotonic()
        self._started = self._started or (now, done)
        if now - self._told >= 0.1 or done >= total:  # noqa: PLR2004 - ten times a second is live
            self._told = now
            self._channel.send(event="progress", done=done, total=total, unit=unit, eta_seconds=self._eta(now, done, total), metrics=dict(metrics))
        if self.stopping and (save or not self._asks_when_to_save):
            raise Interrupted

    def trained(self) -> None:
        """The training is over. What earlier processes measured goes to MLflow even where this one had no round left to train."""
        for each in self._journal.before(math.inf):
            self._keep(each)

    def note(self, message: str) -> None:
        """Tell people something about the run."""
        sys.stdout.write(f"{message}\n")
        self._channel.send(event="note", message=message)

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

    def _eta(self, now: float, done: int, total: int) -> float | None:
        if self._started is None or done <= self._started[1]:
            return None
        return round((now - self._started[0]) / (done - self._started[1]) * (total - done), 1)

    def _keep(self, measured: Measured) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        for name, value in measured.metrics.items():
            self.history.setdefault(name, []).append((measured.step, value))
        # MLflow takes what it has already as the same.
        MlflowClient().log_batch(
            self._run_id, [Metric(name, value, measured.at, measured.step) for name, value in measured.metrics.items()]
        )

    def _asked_to_stop(self, *_: object) -> None:
        self.stopping = True
        if self.phase not in {Phase.TRAINING, Phase.REGISTERING}:
            raise Interrupted


def main(job: Job, trainer: Trainer, pools: ThreadpoolController) -> NoReturn:
    """Train, write the outcome, leave. Never returns and never raises."""
    os.setsid()
    _prepare(job)
    folder = RunFolder(job.folder)
    submission = folder.submission()
    code = 0
    try:
        channel = Channel(job.socket, submission.run_id)
        progress = Progress(channel, submission.run_id, Journal(folder.metrics))
        try:
            from trainyard.steps import train_and_log

            with pools.limit(limits=job.threads):
                folder.write_outcome(train_and_log(job, folder, submission, trainer, progress))
        except Interrupted:
            sys.stdout.write("asked to stop\n")
            code = EXIT_INTERRUPTED
    except BaseException as error:  # noqa: BLE001 - whatever a run raises is its outcome
        failure = classified(error)
        if failure.reason is Reason.CRASHED:
            traceback.print_exception(error)
        else:
            sys.stdout.write(f"{failure.reason}: {failure.detail}\n")
        with suppress(OSError):
            folder.write_outcome(Outcome(
                status=failure.reason.status, reason=failure.reason, message=failure.detail[:2000], ended_at=datetime.now(UTC),
            ))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def classified(error: BaseException) -> RunError:
    """The error as one of the run's reasons, told by type, never by text."""
    if isinstance(error, RunError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory()
    if isinstance(error, OSError) and error.errno == 28:  # noqa: PLR2004 - ENOSPC
        return DiskFull()
    return RunError(f"{type(error).__name__}: {_text(error)}")


def _text(error: BaseException) -> str:
    """What the error says, as far as it can be said: it may come from anybody's code."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - its own text is broken
        return "it cannot say what it is"


def training(job: Job, folder: RunFolder, seed: int, progress: Progress) -> Training:
    """What the trainer may use."""
    folder.checkpoints.mkdir(exist_ok=True)
    report: Callable[..., None] = progress.report
    return Training(
        seed=seed, threads=job.threads, checkpoints=folder.checkpoints, report=report,
        checkpoint_due=progress.checkpoint_due, note=progress.note,
        halvings=job.halvings,
    )


def _prepare(job: Job) -> None:
    os.environ.update(job.environment)
    log = os.open(job.folder / "training.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _finite(value: float) -> bool:
    return value == value and value not in {float("inf"), float("-inf")}  # noqa: PLR0124
