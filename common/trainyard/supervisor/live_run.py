"""A run that this service knows by heart. Nothing but `LiveRun` changes a run's status."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from trainyard.contract import (
    Caller,
    Links,
    OnCancel,
    Phase,
    Placement,
    Progress,
    Run,
    RunStatus,
    TrainRequest,
    Transition,
    Usage,
    version_of,
)
from trainyard.launcher.messages import Noted, PhaseEntered, Progressed, Warned
from trainyard.launcher.protocol import Listener, Used
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome, State, Submission
from trainyard.supervisor.decision import Again, HalveBatch, HandBack, StopReason

VERSIONS_A_LIFE = 1_000_000
MOST_WARNINGS = 100
FIRST_KEPT, LAST_KEPT = 50, 150
"""Of more transitions than these together, the ones between are dropped."""


class LiveRun:
    """The snapshot that callers see, who waits for it to change, and the run's state on disk.

    Used on the event loop alone. `on_status` is called with each status that the run takes before it ends.
    """

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        submission: Submission,
        folder: RunFolder,
        state: State,
        *,
        service: str,
        link: str,
        on_status: Callable[[str, RunStatus], None] = lambda *_: None,
    ) -> None:
        self.submission = submission
        self.folder = folder
        self.state = state
        self.stop_reason: StopReason | None = None
        self.stop_asked = asyncio.Event()
        self.cancelled_by: Caller | None = None
        self.gave_way = False
        """Whether it was asked to give way to a run of high priority, which happens once."""
        self.slots_wanted = self.slots_used = 0
        """By a search, beyond its own slot; -1 where it does without that one."""
        self.on_slots: Callable[[], None] = lambda: None
        """Called when these change, and with each phase."""
        self.on_change: Callable[[], None] = lambda: None
        """Called with each new snapshot."""
        self._on_status = on_status
        self._changed = asyncio.Event()
        self._json: bytes | None = None
        self._run = _first_snapshot(submission, state, service, link)

    @property
    def run(self) -> Run:
        """The run as it stands."""
        return self._run

    @property
    def run_id(self) -> str:
        """The MLflow run's id."""
        return self.submission.run_id

    @property
    def seconds_left(self) -> float:
        """Seconds until `timeout_seconds` is used up, by all the run's processes together."""
        return max(0.0, self.submission.request.timeout_seconds - self.state.seconds_trained)

    @property
    def searches(self) -> bool:
        """Whether its params are searched for."""
        return self.submission.searches

    @property
    def may_train_its_best(self) -> bool:
        """Whether cancelling ends its search alone."""
        request = self.submission.request
        if not isinstance(request, TrainRequest) or request.search is None:
            return False
        wanted = request.search.on_cancel is OnCancel.TRAIN_BEST
        return (
            wanted and self._run.phase is Phase.SEARCHING and not self.folder.end_of_search.exists()
        )

    @property
    def is_cancelled(self) -> bool:
        """Whether it was asked to stop because somebody cancelled it."""
        return self.stop_reason is StopReason.CANCELLED

    @property
    def has_checkpoint(self) -> bool:
        """Whether it can go on from where it is."""
        return any(self.folder.checkpoints.glob("*"))

    # The run's life, in order

    def queued_at(self, position: int, waits_for: str | None = None) -> None:
        """The run waits at this place, from 1, for what the sentence says."""
        if (self._run.queue_position, self._run.waits_for) != (position, waits_for):
            self._update(queue_position=position, waits_for=waits_for)

    def start(self, gpus: int = 0, placement: Sequence[Placement] = ()) -> None:
        """A process is about to be started for the run, there, which has so many GPUs of its own."""
        self.state.starts += 1
        self.state.gpus = gpus
        now = datetime.now(UTC)
        attempt = self.submission.attempt + self.state.starts - 1
        started_at = self._run.started_at or now
        self._enter(
            RunStatus.RUNNING,
            Phase.STARTING,
            attempt=attempt,
            started_at=started_at,
            queue_position=None,
            waits_for=None,
            placement=list(placement),
        )

    def goes_on(self, placement: Sequence[Placement]) -> None:
        """A process that an earlier service started is under way, there."""
        now = datetime.now(UTC)
        began = self.state.process_started_at or now
        self._had_slot(max(0.0, (now - began).total_seconds()))
        steps = [each for each in self._run.transitions if each.status is RunStatus.RUNNING]
        phase = steps[-1].phase if steps else Phase.STARTING
        message = "goes on; taken up by a service that started"
        self._enter(RunStatus.RUNNING, phase, message, placement=list(placement))

    def launched(self, process_id: str) -> None:
        """The process exists."""
        self.state.process_id, self.state.process_started_at = process_id, datetime.now(UTC)

    def process_used(self, used: Used) -> None:
        """What the process has used that is gone."""
        state, seconds, memory = self.state, used.cpu_seconds, used.peak_memory_mb
        unseen = state.cpu_seconds is None or seconds is None
        state.cpu_seconds = None if unseen else (state.cpu_seconds or 0.0) + (seconds or 0.0)
        unseen = state.peak_memory_mb is None or memory is None
        state.peak_memory_mb = None if unseen else max(state.peak_memory_mb or 0, memory or 0)

    def process_is_over(self, seconds: float) -> None:
        """The process that `start` announced is gone, after so many seconds."""
        self._had_slot(seconds)
        self.state.process_id = self.state.process_started_at = None

    def _had_slot(self, seconds: float) -> None:
        self.state.seconds_trained += seconds
        self.state.gpu_seconds += seconds * self.state.gpus

    def listener(self) -> Listener:
        """Takes what one process tells. An event that is late or comes twice is ignored."""
        newest = 0

        def hear(event: PhaseEntered | Progressed | Noted | Warned) -> None:
            nonlocal newest
            if event.sequence > newest and self._run.status is RunStatus.RUNNING:
                newest = event.sequence
                self._hear(event)

        return hear

    def again(self, decision: Again) -> None:
        """The attempt is over and another one will follow."""
        if isinstance(decision, HalveBatch):
            self.state.halvings += 1
        if isinstance(decision, HalveBatch | HandBack):  # neither is an attempt of its own
            self.state.starts = max(0, self.state.starts - 1)
        self._enter(RunStatus.SCHEDULED, message=decision.message)

    def as_ended(self, outcome: Outcome) -> Run:
        """The snapshot as `end` will make it."""
        step = Transition(status=outcome.status, at=outcome.ended_at, message=outcome.message)
        return self._run.model_copy(
            update={
                "status": outcome.status,
                "phase": None,
                "reason": outcome.reason,
                "message": outcome.message,
                "retryable": outcome.reason.retryable if outcome.reason else None,
                "queue_position": None,
                "waits_for": None,
                "metrics": {**self._run.metrics, **outcome.metrics},
                "model_uri": outcome.model_uri,
                "registered": outcome.registered,
                "searched": outcome.searched,
                "warnings": outcome.warnings or self._run.warnings,
                "ended_at": outcome.ended_at,
                "usage": usage_of(self.submission, self.state, outcome.ended_at),
                "transitions": _bounded([*self._run.transitions, step]),
                "version": self._run.version + 1,
            }
        )

    def end(self, outcome: Outcome) -> None:
        """The run has ended; nothing changes it from here."""
        if not self._run.status.ended:
            self._show(self.as_ended(outcome))

    # What others do to it

    def ask_to_stop(self, reason: StopReason) -> None:
        """Ask the run's process to stop. The first reason stays, but one that ends the run outweighs one that does not."""
        if self.stop_reason is None or not self.stop_reason.ends_the_run:
            self.stop_reason = reason
        self.stop_asked.set()

    def wait_again(self) -> None:
        """It gave way to another run, and may be started again."""
        self.stop_reason = None
        self.stop_asked.clear()

    async def wait(self, seconds: float, since: int | None) -> Run:
        """The run once it ended, or once its version passed `since`, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not self._run.status.ended and (since is None or self._run.version <= since):
                    await self._changed.wait()
        except TimeoutError:
            pass
        return self._run

    def json(self) -> bytes:
        """The snapshot as JSON, made once a version."""
        if self._json is None:
            self._json = self._run.model_dump_json().encode()
        return self._json

    def for_disk(self) -> State:
        """The state as it is to be written now."""
        self.state.transitions = list(self._run.transitions)
        self.state.started_at = self._run.started_at
        return self.state.model_copy(deep=True)

    def _hear(self, event: PhaseEntered | Progressed | Noted | Warned) -> None:
        match event:
            case PhaseEntered():
                if event.phase is not self._run.phase:
                    self._enter(RunStatus.RUNNING, event.phase)
                self.slots_wanted, self.slots_used = 0, -1  # until its first trial runs
                self.on_slots()
            case Noted():
                self._enter(RunStatus.RUNNING, self._run.phase, message=event.message[:500])
            case Warned():
                self._update(warnings=[each[:500] for each in event.warnings[:MOST_WARNINGS]])
            case Progressed():
                progress = Progress(
                    **event.model_dump(include={"done", "total", "unit", "eta_seconds", "running"})
                )
                self._update(progress=progress, metrics={**self._run.metrics, **event.metrics})
                self._of_slots(wanted=event.slots_wanted, used=event.slots_used)

    def _of_slots(self, *, wanted: int, used: int) -> None:
        if (wanted, used) != (self.slots_wanted, self.slots_used):
            self.slots_wanted, self.slots_used = wanted, used
            self.on_slots()

    def _enter(
        self,
        status: RunStatus,
        phase: Phase | None = None,
        message: str | None = None,
        **changes: Any,
    ) -> None:
        step = Transition(status=status, phase=phase, at=datetime.now(UTC), message=message)
        steps = _bounded([*self._run.transitions, step])
        before = self._run.status
        self._update(status=status, phase=phase, transitions=steps, **changes)
        if status is not before:
            self._on_status(self.run_id, status)

    def _update(self, **changes: Any) -> None:
        if not self._run.status.ended:
            self._show(self._run.model_copy(update={**changes, "version": self._run.version + 1}))

    def _show(self, run: Run) -> None:
        self._run, self._json = run, None
        self._changed.set()
        self._changed = asyncio.Event()
        self.on_change()


def usage_of(submission: Submission, state: State, ended_at: datetime) -> Usage:
    """What a run used that ended then."""
    whole = (ended_at - submission.submitted_at).total_seconds()
    return Usage(
        queue_seconds=max(0.0, whole - state.seconds_trained),
        run_seconds=state.seconds_trained,
        cpu_seconds=state.cpu_seconds,
        gpu_seconds=state.gpu_seconds,
        peak_memory_mb=state.peak_memory_mb,
    )


def _first_snapshot(submission: Submission, state: State, service: str, link: str) -> Run:
    run_id, request = submission.run_id, submission.request
    step = Transition(status=RunStatus.SCHEDULED, at=submission.submitted_at)
    if state.lives:
        message = "taken up by a service that started"
        step = Transition(status=RunStatus.SCHEDULED, at=datetime.now(UTC), message=message)
    return Run(
        run_id=run_id,
        kind=request.kind,
        status=RunStatus.SCHEDULED,
        version=1 + state.lives * VERSIONS_A_LIFE,
        model=request.model,
        service=service,
        experiment=request.experiment,
        experiment_id=submission.experiment_id,
        run_name=submission.run_name,
        attempt=submission.attempt + max(0, state.starts - 1),
        workers=request.workers,
        data_version=version_of(request.data),
        priority=request.priority,
        submitted_at=submission.submitted_at,
        submitted_by=submission.submitted_by,
        team=submission.team,
        started_at=state.started_at,
        transitions=_bounded([*state.transitions, step]),
        links=Links(self=f"/train/{run_id}", logs=f"/train/{run_id}/logs", mlflow=link),
    )


def _bounded(transitions: list[Transition]) -> list[Transition]:
    """The first and the newest, so that a run that tells much stays small."""
    if len(transitions) <= FIRST_KEPT + LAST_KEPT:
        return transitions
    return transitions[:FIRST_KEPT] + transitions[-LAST_KEPT:]
