"""Every error that Trainyard raises on purpose.

    TrainyardError
    ├── RequestError                 the caller's: answered over HTTP
    │   ├── Malformed          400
    │   ├── Unauthorized       401
    │   ├── Forbidden          403
    │   ├── ForeignHost        403
    │   ├── ForeignOrigin      403
    │   ├── UnknownRun         404
    │   ├── NotEnded           404
    │   ├── UnknownModel       404
    │   ├── CannotPromote      409
    │   ├── ChampionChanged    409
    │   ├── CannotPredict      409
    │   ├── TooLarge           413
    │   ├── Invalid            422   with a pointer and a sentence for each bad field
    │   ├── KeyReused          422
    │   ├── QueueFull          429   with Retry-After
    │   ├── TooManyCalls       429   with Retry-After
    │   ├── TooManyWrongTokens 429   with Retry-After
    │   └── Unavailable        503   with Retry-After
    ├── RunError                     ends a run; each class has its Reason
    │   ├── InvalidData, InvalidParams, Diverged, OutOfMemory, GpuOutOfMemory, DiskFull
    │   ├── TrackingUnavailable, RegistryConflict
    │   └── RankMissing, RanksDiffer, CheckpointsAway
    ├── LaunchRefused                 a run's process can never be started
    ├── HostLost                      a run's process can not be started where it was to be
    └── ServiceError                 stops a service from starting

A class's docstring is its default message.
"""

from collections.abc import Sequence
from typing import ClassVar

from trainyard.contract import FieldError, Problem, Reason


class TrainyardError(Exception):
    """Something went wrong."""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)


class RequestError(TrainyardError):
    """The request cannot be answered."""

    status: ClassVar[int] = 400
    type: ClassVar[str] = "malformed"
    title: ClassVar[str] = "Malformed request"
    retry_after_seconds: float | None = None

    def __init__(self, detail: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)

    def problem(self) -> Problem:
        """The body that answers it."""
        return Problem(
            type=self.type,
            title=self.title,
            status=self.status,
            detail=self.detail,
            errors=self.errors,
        )


class Malformed(RequestError):
    """The body is not JSON."""


class Unauthorized(RequestError):
    """This call needs the header `Authorization: Bearer TOKEN` with the service's token."""

    status = 401
    type = "unauthorized"
    title = "Token missing or wrong"


class Forbidden(RequestError):
    """The caller's role is not enough for this call."""

    status = 403
    type = "forbidden"
    title = "Role not enough"


class ForeignHost(RequestError):
    """The call was meant for a name that is none of this service's."""

    status = 403
    type = "foreign-host"
    title = "Not a name of this service"


class ForeignOrigin(RequestError):
    """The call was sent by a page of another name."""

    status = 403
    type = "foreign-origin"
    title = "Sent by a foreign page"


class UnknownRun(RequestError):
    """This service has no such run."""

    status = 404
    type = "unknown-run"
    title = "No such run"


class NotEnded(RequestError):
    """The run is still under way."""

    status = 404
    type = "not-ended"
    title = "Not ended yet"


class UnknownModel(RequestError):
    """This service does not train such a model."""

    status = 404
    type = "unknown-model"
    title = "No such model"


class CannotPromote(RequestError):
    """The run left nothing that could be promoted."""

    status = 409
    type = "cannot-promote"
    title = "Nothing to promote"


class ChampionChanged(RequestError):
    """Another version holds the alias than the one that the run was judged against."""

    status = 409
    type = "champion-changed"
    title = "The champion has changed"


class CannotPredict(RequestError):
    """The model cannot be asked for its predictions here."""

    status = 409
    type = "cannot-predict"
    title = "No predictions"


class TooLarge(RequestError):
    """The body is over the limit."""

    status = 413
    type = "too-large"
    title = "Body too large"


class Invalid(RequestError):
    """The request has fields that cannot be right."""

    status = 422
    type = "invalid"
    title = "Invalid request"

    @classmethod
    def field(cls, pointer: str, detail: str) -> "Invalid":
        """One bad field, named by its JSON pointer."""
        return cls(f"{pointer}: {detail}", [FieldError(pointer=pointer, detail=detail)])


class KeyReused(RequestError):
    """This Idempotency-Key was used with another body."""

    status = 422
    type = "key-reused"
    title = "Idempotency-Key used with another body"


class QueueFull(RequestError):
    """The queue is full."""

    status = 429
    type = "queue-full"
    title = "Queue full"
    retry_after_seconds = 10


class TooManyCalls(RequestError):
    """One token has made too many calls that change something."""

    status = 429
    type = "too-many-calls"
    title = "Too many calls"
    retry_after_seconds = 1


class TooManyWrongTokens(RequestError):
    """Too many wrong tokens have come, and this one is wrong too."""

    status = 429
    type = "too-many-wrong-tokens"
    title = "Too many wrong tokens"
    retry_after_seconds = 5


class Unavailable(RequestError):
    """A part the service depends on does not answer."""

    status = 503
    type = "unavailable"
    title = "Not available now"
    retry_after_seconds = 5


class RunError(TrainyardError):
    """The run cannot go on."""

    reason: ClassVar[Reason] = Reason.CRASHED


class InvalidData(RunError):
    """The data cannot be trained on."""

    reason = Reason.INVALID_DATA

    def __init__(self, detail: str | None = None, pointer: str = "/data") -> None:
        super().__init__(detail)
        self.pointer = pointer


class InvalidParams(RunError):
    """The params do not fit the data or each other."""

    reason = Reason.INVALID_PARAMS


class Diverged(RunError):
    """The loss became NaN or infinite; a lower learning rate often helps."""

    reason = Reason.DIVERGED


class OutOfMemory(RunError):
    """The run needed more memory than there is."""

    reason = Reason.OUT_OF_MEMORY


class GpuOutOfMemory(RunError):
    """The run needed more GPU memory than there is."""

    reason = Reason.GPU_OUT_OF_MEMORY


class DiskFull(RunError):
    """There is no space left on the work volume."""

    reason = Reason.DISK_FULL


class TrackingUnavailable(RunError):
    """MLflow did not answer before the run's deadline."""

    reason = Reason.TRACKING_UNAVAILABLE


class RegistryConflict(RunError):
    """The model registry refused the version or its alias."""

    reason = Reason.REGISTRY_CONFLICT


class RankMissing(RunError):
    """A rank of the run did not come to where the others waited for it."""


class RanksDiffer(RunError):
    """The ranks of the run do not have the same, and would not train one model."""


class CheckpointsAway(RunError):
    """The place where the run's checkpoints are does not answer."""


class ServiceError(TrainyardError):
    """The service cannot start."""


class HostLost(TrainyardError):
    """The host is not there any more, or cannot start the run's process now."""

    def __init__(self, detail: str | None = None, ranks: Sequence[int] = (0,)) -> None:
        super().__init__(detail)
        self.ranks = tuple(ranks)
        """Those of the run whose hosts these are."""


class LaunchRefused(TrainyardError):
    """The run's process cannot be started: what it needs is not here any more."""
