"""A run that this service knows by heart: the snapshot callers see, and who waits for it to change."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from trainyard.contract import Links, Phase, Progress, Reason, Run, RunStatus, Transition
from trainyard.folder import Outcome, RunFolder, Submission

VERSIONS_A_LIFE = 1_000_000


class LiveRun:
    """One run, changed only on the event loop."""

    def __init__(self, submission: Submission, folder: RunFolder, *, service: str, link: str) -> None:
        self.submission = submission
        self.folder = folder
        self.state = folder.state()
        self.stop_reason: Reason | None = None
        self.stop_asked = asyncio.Event()
        self._changed = asyncio.Event()
        self._json: bytes | None = None
        run_id = submission.run_id
        self.run = Run(
            run_id=run_id, status=RunStatus.SCHEDULED, version=1 + self.state.lives * VERSIONS_A_LIFE, model=submission.request.model, service=service,
            experiment=submission.request.experiment, experiment_id=submission.experiment_id,
            run_name=submission.run_name, attempt=submission.attempt, submitted_at=submission.submitted_at,
            transitions=[*self.state.transitions, self._scheduled()], started_at=self.state.started_at,
            links=Links(self=f"/train/{run_id}", logs=f"/train/{run_id}/logs", mlflow=link),
        )

    def _scheduled(self) -> Transition:
        if self.state.lives:
            return Transition(status=RunStatus.SCHEDULED, at=datetime.now(UTC), message="taken up by a service that started")
        return Transition(status=RunStatus.SCHEDULED, at=self.submission.submitted_at)

    def save(self) -> None:
        """Write what a later service must know."""
        self.state.transitions, self.state.started_at = list(self.run.transitions), self.run.started_at
        self.folder.write_state(self.state)

    @property
    def run_id(self) -> str:
        """The MLflow run's id."""
        return self.submission.run_id

    def update(self, **changes: Any) -> None:
        """Change the snapshot and wake who waits; a terminal status stays."""
        if self.run.status.ended:
            return
        self.run = self.run.model_copy(update={**changes, "version": self.run.version + 1})
        self._json = None
        self._changed.set()
        self._changed = asyncio.Event()

    def enter(self, status: RunStatus, phase: Phase | None = None, message: str | None = None, **changes: Any) -> None:
        """A step in the run's life."""
        step = Transition(status=status, phase=phase, at=datetime.now(UTC), message=message)
        self.update(status=status, phase=phase, transitions=[*self.run.transitions, step], **changes)

    def tell(self, message: dict[str, Any]) -> None:
        """What the run's process says of itself."""
        if message["event"] == "phase":
            self.enter(RunStatus.RUNNING, Phase(message["phase"]))
        elif message["event"] == "note":
            self.enter(RunStatus.RUNNING, self.run.phase, message["message"][:500])
        else:
            progress = Progress(done=message["done"], total=message["total"], unit=message["unit"], eta_seconds=message["eta_seconds"])
            self.update(progress=progress, metrics={**self.run.metrics, **message["metrics"]})

    def as_ended(self, outcome: Outcome) -> Run:
        """The snapshot as it will be once `end` is called."""
        step = Transition(status=outcome.status, at=outcome.ended_at, message=outcome.message)
        return self.run.model_copy(update={
            "status": outcome.status, "phase": None, "reason": outcome.reason, "message": outcome.message,
            "retryable": outcome.reason.retryable if outcome.reason else None, "queue_position": None,
            "metrics": {**self.run.metrics, **outcome.metrics}, "model_uri": outcome.model_uri,
            "registered": outcome.registered, "ended_at": outcome.ended_at,
            "transitions": [*self.run.transitions, step], "version": self.run.version + 1,
        })

    def end(self, ended: Run) -> None:
        """The run has ended; nothing changes it from here."""
        self.run, self._json = ended, None
        self._changed.set()

    def stop(self, reason: Reason) -> None:
        """Ask the run to stop; the first reason stays."""
        self.stop_reason = self.stop_reason or reason
        self.stop_asked.set()

    def json(self) -> bytes:
        """The snapshot as JSON, made once a version."""
        if self._json is None:
            self._json = self.run.model_dump_json().encode()
        return self._json

    async def wait(self, seconds: float, since: int | None) -> Run:
        """The snapshot once it ended, or once its version passed `since`, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not self.run.status.ended and (since is None or self.run.version <= since):
                    await self._changed.wait()
        except TimeoutError:
            pass
        return self.run
