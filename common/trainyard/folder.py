"""A run's work directory: what must outlive every process, written atomically.

`request.json` is the submission, `state.json` how often it was started, `training.log` what the run
printed, `metrics.jsonl` what each round measured, `checkpoints/` where it goes on, `outcome.json` how it ended, `closed` that MLflow knows.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, Field

from trainyard.contract import Reason, Registered, RunStatus, TrainRequest, Transition, Wire


class Submission(Wire):
    """A request that was accepted, and the MLflow run made for it."""

    run_id: str
    request: TrainRequest
    key: str | None
    digest: str
    attempt: int
    experiment_id: str
    run_name: str
    artifact_uri: str
    submitted_at: datetime


class State(BaseModel):
    """What a restarted service must know of a run that has not ended."""

    starts: int = 0
    """Times the run was started and not handed back by a graceful stop."""
    halvings: int = 0
    """Times the batch was halved because memory ran out."""
    pid: int | None = None
    process_started: int | None = None
    """Start time of `pid` in clock ticks since boot: tells it from a later process of that number."""
    lives: int = 0
    """Times a service took the run up; versions of a later life are above those of an earlier one."""
    started_at: datetime | None = None
    transitions: list[Transition] = Field(default_factory=list)


class Outcome(Wire):
    """How a run ended."""

    status: RunStatus
    reason: Reason | None = None
    message: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    model_uri: str | None = None
    registered: Registered | None = None
    ended_at: datetime
    log_uploaded: bool = False


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @property
    def log(self) -> Path:
        """What the run printed."""
        return self.path / "training.log"

    @property
    def request(self) -> Path:
        """The submission's file."""
        return self.path / "request.json"

    @property
    def metrics(self) -> Path:
        """Each round's metrics, a line each."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Where trainers keep checkpoints."""
        return self.path / "checkpoints"

    @property
    def artifacts(self) -> Path:
        """What goes to MLflow as it is."""
        return self.path / "artifacts"

    def create(self, submission: Submission) -> None:
        """Make the folder; it is not there until it is whole."""
        draft = self.path.with_name(f".{self.path.name}")
        (draft / "checkpoints").mkdir(parents=True, exist_ok=True)
        (draft / "training.log").touch()
        _write(draft / "request.json", submission.model_dump_json(by_alias=True))
        draft.rename(self.path)

    def submission(self) -> Submission:
        """The submission. Raises ValueError or OSError when the file is not whole."""
        return Submission.model_validate_json(self.request.read_bytes())

    def state(self) -> State:
        """How often the run was started; zero times when nothing is written yet."""
        path = self.path / "state.json"
        return State.model_validate_json(path.read_bytes()) if path.exists() else State()

    def write_state(self, state: State) -> None:
        """Replace the state."""
        _write(self.path / "state.json", state.model_dump_json())

    def outcome(self) -> Outcome | None:
        """How the run ended; None while it has not."""
        try:
            return Outcome.model_validate_json((self.path / "outcome.json").read_bytes())
        except FileNotFoundError:
            return None

    def write_outcome(self, outcome: Outcome) -> None:
        """Write how the run ended; the first one stays."""
        if self.outcome() is None:
            _write(self.path / "outcome.json", outcome.model_dump_json())

    def forget_outcome(self) -> None:
        """Make room for the next attempt's outcome."""
        (self.path / "outcome.json").unlink(missing_ok=True)

    @property
    def closed(self) -> bool:
        """Whether MLflow knows how the run ended."""
        return (self.path / "closed").exists()

    def close(self) -> None:
        """Note that MLflow knows, and drop what only a run under way needs."""
        (self.path / "closed").touch()
        self.metrics.unlink(missing_ok=True)
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        shutil.rmtree(self.artifacts, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def run_folders(root: Path) -> Iterator[RunFolder]:
    """Every whole run folder under `root`."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield RunFolder(path)


def remove_drafts(root: Path) -> None:
    """Remove the folders that a crash left half made; only while nothing is being submitted."""
    for path in root.glob(".*/"):
        shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".tmp")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
