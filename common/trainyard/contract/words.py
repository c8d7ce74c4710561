"""The words that requests and runs are described in."""

from enum import StrEnum


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
    """What a RUNNING run is busy with, in order; a run that scores goes from loading to scoring, evaluating, writing."""

    STARTING = "starting"
    LOADING_DATA = "loading_data"
    SEARCHING = "searching"
    TRAINING = "training"
    EVALUATING = "evaluating"
    LOGGING_MODEL = "logging_model"
    REGISTERING = "registering"
    SCORING = "scoring"
    WRITING = "writing"


class RunKind(StrEnum):
    """What a run does."""

    TRAIN = "train"
    SCORE = "score"


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


class Priority(StrEnum):
    """Which runs start before which."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """The higher, the earlier."""
        return list(Priority).index(self)


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


class OnIncomparable(StrEnum):
    """What a promotion does where the holder of the alias cannot be scored on the new version's test rows."""

    KEEP = "keep"
    PROMOTE = "promote"


class When(StrEnum):
    """When a promotion is decided: as the run ends, or once somebody asks for it."""

    NOW = "now"
    ASKED = "asked"
