"""What is kept of a run on disk: its submission, how far it came, and how it ended."""

from datetime import datetime

from pydantic import BaseModel, Field

from trainyard.contract import Reason, Registered, RunRequest, RunStatus, Searched, Transition, Wire


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
    lives: int = 0
    """Times a service took the run up. A later life starts with a higher version than an earlier one reached."""
    started_at: datetime | None = None
    transitions: list[Transition] = Field(default_factory=list)


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
