"""A run, as callers see it."""

from datetime import datetime

from pydantic import Field

from trainyard.contract.promotion import Registered
from trainyard.contract.search import Searched
from trainyard.contract.tables import DataVersion
from trainyard.contract.usage import Usage
from trainyard.contract.wire import Wire
from trainyard.contract.words import Phase, Priority, Reason, RunKind, RunStatus


class Progress(Wire):
    """How far the run is: `done` of `total` rounds, epochs or rows."""

    done: int
    total: int
    unit: str
    eta_seconds: float | None = None
    running: int | None = Field(None, description="Trials under way, of a run that searches")


class Transition(Wire):
    """One step in the life of a run."""

    status: RunStatus
    phase: Phase | None = None
    at: datetime
    message: str | None = None


class Placement(Wire):
    """Where one process of a run is, on a host that has joined the service."""

    rank: int = 0
    host: str = Field(description="The host's own name")
    address: str = Field(description="Its address in the cluster")
    node: str = Field(description="The node's id in Ray")

    def __str__(self) -> str:
        return f"{self.host} ({self.address}, node {self.node[:12]})"


class Links(Wire):
    """Where to look."""

    self: str
    logs: str
    mlflow: str


class Run(Wire):
    """A run as it stands: one training or scoring, and the MLflow run that records it."""

    run_id: str
    kind: RunKind = RunKind.TRAIN
    status: RunStatus
    phase: Phase | None = None
    reason: Reason | None = None
    message: str | None = None
    retryable: bool | None = None
    version: int = Field(
        description="Grows by one with every change; give it as `since` to wait for the next"
    )
    model: str = Field(description="The model that is trained, or the model_uri that is scored")
    service: str
    experiment: str
    experiment_id: str
    run_name: str
    attempt: int = 1
    workers: int = Field(1, description="Processes that train it together")
    priority: Priority = Priority.NORMAL
    queue_position: int | None = None
    waits_for: str | None = Field(None, description="Why it waits, and for whom")
    progress: Progress | None = None
    data_version: DataVersion | None = Field(
        None,
        description="What the run reads, as it was settled at the submit: the version of a Delta table (a number), the snapshot of an Iceberg table, or which answer to a query",
    )
    metrics: dict[str, float] = Field(default_factory=dict)
    model_uri: str | None = None
    registered: Registered | None = None
    searched: Searched | None = Field(
        None, description="What the search found, of a run that searched and finished"
    )
    warnings: list[str] = Field(
        default_factory=list,
        description="What a person should read about the data, a sentence each",
    )
    placement: list[Placement] = Field(
        default_factory=list,
        description="Where it runs, or ran at last, for each of its workers in the order of their ranks; empty where that is the service's own host",
    )
    submitted_by: str | None = Field(
        None,
        description="Whose token it came with; `trainyard` for the service's one token, null where none is asked for",
    )
    team: str | None = Field(None, description="Their team")
    usage: Usage | None = Field(None, description="What it used, once it has ended")
    submitted_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    transitions: list[Transition] = Field(default_factory=list)
    links: Links


class RunPage(Wire):
    """Runs, newest first; `cursor` asks for the next page and is null on the last."""

    runs: list[Run]
    cursor: str | None = None
