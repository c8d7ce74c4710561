"""What a starting service finds of earlier ones: runs to close, to queue again, or to give up."""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from pydantic import ValidationError

from trainyard.attempts import process_started
from trainyard.contract import Reason, Run, RunStatus
from trainyard.errors import ServiceError
from trainyard.folder import Outcome, RunFolder, State, Submission, remove_drafts, run_folders
from trainyard.tracking import Tracking, unended

log = structlog.get_logger()


class Lock:
    """One process writes for one instance name: a lock file says so, and goes with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def take(self) -> None:
        """Take it. Raises `ServiceError` when another process has it."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            message = f"another process serves this instance: it holds {self._path}; give this one another TRAINYARD_INSTANCE or TRAINYARD_WORK_DIR"
            raise ServiceError(message) from error

    def release(self) -> None:
        """Let it go."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@dataclass
class Found:
    """What there was."""

    ended: list[Submission] = field(default_factory=list)
    to_close: list[tuple[RunFolder, Submission, Outcome]] = field(default_factory=list)
    to_queue: list[tuple[RunFolder, Submission]] = field(default_factory=list)


class Sweep:
    """One look at the work directory and at MLflow. Asks MLflow, so it may have to be tried again."""

    def __init__(self, runs: Path, tracking: Tracking) -> None:
        self._runs = runs
        self._tracking = tracking

    def look(self) -> Found:
        """Sort every run folder, and fail the runs in MLflow that have none."""
        remove_drafts(self._runs)
        found = Found()
        here: set[str] = set()
        for folder in run_folders(self._runs):
            try:
                submission = folder.submission()
            except (OSError, ValidationError):
                log.warning("a run folder without a readable request is left alone", folder=str(folder.path))
                continue
            here.add(submission.run_id)
            self._sort(folder, submission, found)
        starts = {submission.run_id: folder.state().starts for folder, submission in found.to_queue}
        found.to_queue.sort(key=lambda pair: (starts[pair[1].run_id] == 0, pair[1].submitted_at))
        self._fail_the_homeless(here)
        return found

    def _sort(self, folder: RunFolder, submission: Submission, found: Found) -> None:
        if folder.closed:
            found.ended.append(submission)
            return
        state = folder.state()
        _end_what_survived(state)
        outcome = folder.outcome()
        if outcome is None and _over(self._tracking.status(submission.run_id)):
            folder.close()
            found.ended.append(submission)
            return
        if outcome is None and state.starts >= submission.request.max_attempts:
            outcome = _given_up(f"the service ended while the run trained, and max_attempts is {submission.request.max_attempts}")
        if outcome is not None:
            found.to_close.append((folder, submission, outcome))
            return
        state.lives += 1
        folder.write_state(state)
        found.to_queue.append((folder, submission))

    def _fail_the_homeless(self, here: set[str]) -> None:
        for run in [run for condition in unended() for run in self._all(condition) if run.run_id not in here]:
            outcome = _given_up("the service has no work directory of this run")
            ended = run.model_copy(update={"reason": outcome.reason, "message": outcome.message})
            self._tracking.close(ended, outcome, files=())

    def _all(self, condition: str) -> Iterator[Run]:
        cursor: str | None = None
        while True:
            page = self._tracking.search(condition, limit=200, cursor=cursor)
            yield from page.runs
            cursor = page.cursor
            if cursor is None:
                return


def prune(runs: Path, *, keep_days: float) -> None:
    """Remove the folders of runs that ended more than `keep_days` ago and that MLflow holds."""
    for folder in run_folders(runs):
        outcome = folder.outcome() if folder.closed else None
        if outcome and datetime.now(UTC) - outcome.ended_at > timedelta(days=keep_days):
            folder.remove()


def _end_what_survived(state: State) -> None:
    if state.pid is not None and state.process_started is not None and state.process_started == process_started(state.pid):
        with suppress(ProcessLookupError):
            os.killpg(state.pid, signal.SIGKILL)


def _over(status: RunStatus | None) -> bool:
    return status is None or status.ended


def _given_up(message: str) -> Outcome:
    reason = Reason.SERVICE_RESTARTED
    return Outcome(status=reason.status, reason=reason, message=message, ended_at=datetime.now(UTC))
