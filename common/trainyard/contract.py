"""The wire: what callers send and what they get back, and nothing else.

Every model refuses unknown fields and is strict: `"300"` is not an integer here.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)


def _not_reserved(alias: str) -> str:
    """MLflow keeps `latest` and `v1`, `v2`, … for itself."""
    if alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias):
        message = f"{alias!r} is a name that MLflow keeps for itself; take another, such as 'champion'"
        raise ValueError(message)
    return alias


WRITTEN_BY_US = ("trainyard.", "mlflow.runName", "mlflow.user", "mlflow.source.")


def _not_our_own(tag: str) -> str:
    """What Trainyard itself reads back from a run must be its own writing."""
    if tag.startswith(WRITTEN_BY_US):
        message = f"{tag!r} is a tag that Trainyard writes itself; take another name"
        raise ValueError(message)
    return tag


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\- ]{0,199}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,255}$"), AfterValidator(_not_reserved)]
TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-/ ]{1,250}$"), AfterValidator(_not_our_own)]
Column = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class RunStatus(StrEnum):
    """Where a run stands, in MLflow's own words."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def ended(self) -> bool:
        """Whether the status is terminal; a terminal status never changes."""
        return self in {RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED}


class Phase(StrEnum):
    """What a RUNNING run is busy with, in order."""

    STARTING = "starting"
    LOADING_DATA = "loading_data"
    TRAINING = "training"
    EVALUATING = "evaluating"
    LOGGING_MODEL = "logging_model"
    REGISTERING = "registering"


class Reason(StrEnum):
    """Why a run ended other than FINISHED: a closed set."""

    INVALID_DATA = "invalid_data"
    INVALID_PARAMS = "invalid_params"
    DIVERGED = "diverged"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    GPU_OUT_OF_MEMORY = "gpu_out_of_memory"
    DISK_FULL = "disk_full"
    KILLED_BY_SIGNAL = "killed_by_signal"
    TRACKING_UNAVAILABLE = "tracking_unavailable"
    REGISTRY_CONFLICT = "registry_conflict"
    SERVICE_RESTARTED = "service_restarted"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"

    @property
    def status(self) -> RunStatus:
        """The status a run ends in for this reason: KILLED when somebody asked for it, else FAILED."""
        return RunStatus.KILLED if self is Reason.CANCELLED else RunStatus.FAILED

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed when it is trained again."""
        return self not in {
            Reason.INVALID_DATA,
            Reason.INVALID_PARAMS,
            Reason.DIVERGED,
            Reason.TIMED_OUT,
            Reason.CANCELLED,
        }


class Task(StrEnum):
    """What a model learns to do."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class OnExisting(StrEnum):
    """What a submit with a known Idempotency-Key does with the run that has it."""

    ATTACH = "attach"
    RERUN_FAILED = "rerun_failed"
    RERUN = "rerun"


class OnOutOfMemory(StrEnum):
    """What a training that runs out of memory does, where its model can go on."""

    FAIL = "fail"
    HALVE_BATCH = "halve_batch"


class Wire(BaseModel):
    """Frozen, strict, and without unknown fields, NaN or infinity."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )


class BuiltinData(Wire):
    """A data set that ships with the service."""

    source: Literal["builtin"]
    name: Name = Field(examples=["breast_cancer"])


class FileData(Wire):
    """A table: CSV, gzipped CSV, one Parquet file or a partitioned Parquet folder."""

    source: Literal["file"]
    uri: str = Field(
        min_length=1,
        max_length=2000,
        examples=["bank_marketing.csv"],
        description="A path below a data root, s3://bucket/key, or http(s):// on an allowed host",
    )
    target: Column
    format: Literal["csv", "parquet"] | None = None
    features: list[Column] | None = Field(None, min_length=1, description="Columns to train on; all others but the target by default")
    drop: list[Column] = Field(default_factory=list, description="Columns to leave out")
    categorical: list[Column] = Field(default_factory=list, description="Columns to treat as categories although they hold numbers")
    weight: Column | None = Field(None, description="Column of sample weights, >= 0")
    test_uri: str | None = Field(None, min_length=1, max_length=2000, description="A separate table for the test metrics")


class ImageData(Wire):
    """Images: a folder of IDX files, or an .npz with x_train, y_train, x_test, y_test."""

    source: Literal["images"]
    uri: str = Field(min_length=1, max_length=2000)


DataSpec = Annotated[BuiltinData | FileData | ImageData, Field(discriminator="source")]


class Split(Wire):
    """How rows are divided. The test part is used once, for the test metrics."""

    test_size: Fraction = Field(0.2, gt=0.0)
    validation_size: Fraction = 0.1
    stratify: bool = True
    seed: int = Field(42, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> "Split":
        if self.test_size + self.validation_size >= 1.0:
            message = f"test_size {self.test_size} and validation_size {self.validation_size} leave no rows to train on; together they must be below 1"
            raise ValueError(message)
        return self


class Promote(Wire):
    """Move an alias to the new version if it beats the version that holds the alias now."""

    alias: Alias = "champion"
    metric: str = Field(pattern=r"^(train|validation|test)_[a-z0-9_]+$", examples=["test_roc_auc"])
    greater_is_better: bool = True
    min_delta: float = Field(0.0, ge=0.0)


class Register(Wire):
    """Register the model as a new version, and optionally give it an alias or promote it."""

    name: Name = Field(examples=["bank-xgb"])
    alias: Alias | None = None
    promote: Promote | None = None


class TrainRequest(Wire):
    """One training: which model, on which data, and what to do with the result."""

    model: str = Field(min_length=1, max_length=200, examples=["xgboost_classifier"])
    params: dict[str, Any] = Field(default_factory=dict)
    data: DataSpec
    split: Split = Split()
    experiment: Name = "Default"
    run_name: Name | None = None
    tags: dict[TagName, Annotated[str, StringConstraints(max_length=5000)]] = Field(default_factory=dict)
    register_: Register | None = Field(None, alias="register")
    seed: int = Field(42, ge=0, lt=2**31)
    timeout_seconds: int = Field(7200, ge=1, le=7 * 24 * 3600)
    max_attempts: int = Field(1, ge=1, le=10)
    on_existing: OnExisting = OnExisting.RERUN_FAILED
    on_out_of_memory: OnOutOfMemory = OnOutOfMemory.FAIL


class Progress(Wire):
    """How far the training is: `done` of `total` rounds or epochs."""

    done: int
    total: int
    unit: str
    eta_seconds: float | None = None


class Registered(Wire):
    """The version this run registered and what became of it."""

    name: str
    version: str
    aliases: list[str] = Field(default_factory=list)
    promoted: bool | None = None
    decision: str | None = None


class Transition(Wire):
    """One step in the life of a run."""

    status: RunStatus
    phase: Phase | None = None
    at: datetime
    message: str | None = None


class Links(Wire):
    """Where to look."""

    self: str
    logs: str
    mlflow: str


class Run(Wire):
    """A run as it stands: one training, and the MLflow run that records it."""

    run_id: str
    status: RunStatus
    phase: Phase | None = None
    reason: Reason | None = None
    message: str | None = None
    retryable: bool | None = None
    version: int = Field(description="Grows by one with every change; give it as `since` to wait for the next")
    model: str
    service: str
    experiment: str
    experiment_id: str
    run_name: str
    attempt: int = 1
    queue_position: int | None = None
    progress: Progress | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    model_uri: str | None = None
    registered: Registered | None = None
    submitted_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    transitions: list[Transition] = Field(default_factory=list)
    links: Links


class RunPage(Wire):
    """Runs, newest first; `cursor` asks for the next page and is null on the last."""

    runs: list[Run]
    cursor: str | None = None


class ModelInfo(Wire):
    """A model this service trains."""

    name: str
    task: Task
    framework: str
    framework_version: str
    description: str
    data: list[Literal["table", "images"]]
    params_schema: dict[str, Any]
    defaults: dict[str, Any]
    example: dict[str, Any]


class DatasetInfo(Wire):
    """A builtin data set, or a file below a data root."""

    source: Literal["builtin", "file", "images"]
    name: str
    task: Task | None = None
    size_bytes: int | None = None


class FieldError(Wire):
    """One bad field: a JSON pointer into the request, and a sentence."""

    pointer: str
    detail: str


class Problem(Wire):
    """An error, as application/problem+json (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)
