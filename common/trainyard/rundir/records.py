"""What is kept of a run on disk: its submission, how far it came, and how it ended."""

from datetime import datetime

from pydantic import BaseModel, Field

from trainyard.contract import (
    Caller,
    Placement,
    Reason,
    Registered,
    RunRequest,
    RunStatus,
    Searched,
    TrainRequest,
    Transition,
    Wire,
)


class Submission(Wire):
    """A request that was accepted, and the MLflow run made for it. Never changes.

    Of a scoring, `request` names the version and the split that the caller's stood for at the submit, so that every
    attempt scores with the same model; `digest` is that of the request as it was sent.
    """

    run_id: str
    request: RunRequest
    key: str | None
    digest: str
    attempt: int
    experiment_id: str
    run_name: str
    artifact_uri: str
    submitted_at: datetime
    submitted_by: str | None = None
    team: str | None = None
    traceparent: str | None = None
    """The span of the caller that the submit belonged to, as W3C's header has it."""

    @property
    def searches(self) -> bool:
        """Whether the run's params are searched for."""
        return isinstance(self.request, TrainRequest) and self.request.search is not None


class Held(BaseModel):
    """What a run has of other hosts, for a service that takes it up there."""

    cpus: int
    cores: tuple[int, ...]
    gpus: tuple[str, ...] | None
    memory_mb: int | None
    placement: Placement
    ranks: tuple["Held", ...] = ()
    """What each of several ranks has; all else is rank 0's then."""


class State(BaseModel):
    """What a restarted service must know of a run that has not ended."""

    starts: int = 0
    """Processes started for this submission that count as attempts: not those that a stopping service handed back."""
    halvings: int = 0
    """Times the batch was halved because memory ran out."""
    batch_size: int | None = None
    """Rows of a whole batch, as the request asks for or the model's default; None for a model without batches."""
    process_id: str | None = None
    """The launcher's id of the newest process; `Launcher.find` answers whether it still runs."""
    process_started_at: datetime | None = None
    seconds_trained: float = 0.0
    """Seconds that the run's earlier processes ran; they count towards `timeout_seconds`."""
    cpu_seconds: float | None = 0.0
    """What they took of the processors; None once there was one that nobody could look at to its end."""
    gpu_seconds: float = 0.0
    peak_memory_mb: int | None = 0
    """The most that one of them used; None as `cpu_seconds`."""
    gpus: int = 0
    """GPUs that are the newest process's own."""
    held: Held | None = None
    """What the newest process has, where it is on another host."""
    avoids: frozenset[str] = frozenset()
    """Addresses of the hosts that the newest process was lost with, did not reach, or could not be started on: the next one goes elsewhere where it can."""
    lives: int = 0
    """Times a service took the run up. A later life starts with a higher version than an earlier one reached."""
    started_at: datetime | None = None
    transitions: list[Transition] = Field(default_factory=list)


class Cancelled(Wire):
    """Somebody's word that the run is to stop."""

    by: Caller | None = None


class Notice(Wire):
    """What an address is to be told of a run: the same bytes under the same id, however often they are sent."""

    id: str
    url: str
    body: str
    at: datetime
    settled_at: datetime | None = None
    """When it was delivered or given up; None while it is to be sent."""


class Outcome(Wire):
    """How a run, or one attempt at it, ended."""

    status: RunStatus
    reason: Reason | None = None
    message: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    model_uri: str | None = None
    registered: Registered | None = None
    searched: Searched | None = None
    warnings: list[str] = Field(default_factory=list)
    """What people should read about the data, where the run came so far that it read it."""
    ended_at: datetime
    log_uploaded: bool = False
    """Whether the run's process uploaded `request.json` and `training.log` to MLflow itself."""
