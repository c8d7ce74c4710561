"""What follows an attempt at a run: a table without any input or output.

| the attempt                              | it was asked to stop       | what follows                          |
| ---------------------------------------- | -------------------------- | ------------------------------------- |
| finished                                 | or not                     | `Close` with its outcome              |
| left no outcome                          | cancelled or timed out     | `Close` with that reason              |
| left no outcome                          | no, or not for good        | `HandBack`                            |
| ran out of memory, may halve its batch   | no, or not for good        | `HalveBatch`                          |
| failed, a retry can help, attempts left  | no, or not for good        | `Retry`                               |
| failed otherwise                         | or not                     | `Close` with its outcome              |

Not for good: the service stops, or the run gives way to one of high priority.

The supervisor asks after each attempt, and recovery asks for each run that an earlier service left.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from trainyard.contract import Caller, OnOutOfMemory, Reason, RunRequest, RunStatus, TrainRequest
from trainyard.field_errors import readable
from trainyard.rundir.records import Outcome, State

MOST_HALVINGS = 3
GAVE_WAY = "gave way to a run of high priority, and goes on from its checkpoint"
OUT_OF_MEMORY = frozenset({Reason.OUT_OF_MEMORY, Reason.GPU_OUT_OF_MEMORY})


class StopReason(StrEnum):
    """Why a run's process is asked to stop."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    SERVICE_STOPS = "service_stops"
    GIVES_WAY = "gives_way"

    @property
    def ends_the_run(self) -> bool:
        """Whether the run is over, rather than to be taken up again."""
        return self in {StopReason.CANCELLED, StopReason.TIMED_OUT}


@dataclass(frozen=True)
class Close:
    """The run has ended."""

    outcome: Outcome


@dataclass(frozen=True)
class Retry:
    """Start another attempt."""

    message: str


@dataclass(frozen=True)
class HalveBatch:
    """Start again with half the batch. This is no attempt of its own."""

    batch_size: int
    message: str


@dataclass(frozen=True)
class HandBack:
    """The run waits again, here or for the next service. The process that was stopped counts as no attempt."""

    message: str


@dataclass(frozen=True)
class GoesOn:
    """Its process goes on, on another host, whether this service does or not."""


Again = Retry | HalveBatch | HandBack


def decide(
    request: RunRequest, state: State, outcome: Outcome | None, stop_reason: StopReason | None
) -> Close | Again:
    """What follows; see the table. `outcome` is None for a process that stopped without leaving one."""
    stopped_for_good = stop_reason is not None and stop_reason.ends_the_run
    if outcome is None:
        if stop_reason is not None and stopped_for_good:
            return Close(ended_by(Reason(stop_reason)))
        gave_way = stop_reason is StopReason.GIVES_WAY
        return HandBack(GAVE_WAY if gave_way else "handed back: the service stopped")
    if outcome.status is RunStatus.FINISHED or stopped_for_good:
        return Close(outcome)
    why = f"{outcome.reason}: {outcome.message}"
    batch_size = _halved(request, state) if outcome.reason in OUT_OF_MEMORY else None
    if batch_size is not None:
        return HalveBatch(batch_size, f"{why}; going on with batch_size {batch_size}")
    if outcome.reason and outcome.reason.retryable and state.starts < request.max_attempts:
        return Retry(f"{why}; trying again")
    return Close(outcome)


def cancelled(by: Caller | None) -> str:
    """The message of a run that somebody cancelled."""
    return f"cancelled by {by.name}" if by else "cancelled"


def signed(outcome: Outcome, by: Caller | None) -> Outcome:
    """The outcome, which says who cancelled the run where that is how it ended."""
    if outcome.reason is not Reason.CANCELLED:
        return outcome
    return outcome.model_copy(update={"message": cancelled(by)})


def cancelled_while_it_waited(by: Caller | None) -> Outcome:
    """The outcome of a run that somebody cancelled when it had no process."""
    return ended_by(Reason.CANCELLED, f"{cancelled(by)} while it waited")


def ended_by(reason: Reason, message: str | None = None) -> Outcome:
    """The outcome of a run that ended for this reason, now."""
    said = {
        Reason.CANCELLED: cancelled(None),
        Reason.TIMED_OUT: "the run took longer than its timeout_seconds",
    }
    message = message or said.get(reason)
    return Outcome(
        status=reason.status,
        reason=reason,
        message=message and readable(message),
        ended_at=datetime.now(UTC),
    )


def _halved(request: RunRequest, state: State) -> int | None:
    """The batch after one more halving; None where the run may not, or is down to one row."""
    if not isinstance(request, TrainRequest):
        return None
    if request.on_out_of_memory is not OnOutOfMemory.HALVE_BATCH:
        return None
    if state.halvings >= MOST_HALVINGS or not state.batch_size:
        return None
    return state.batch_size >> (state.halvings + 1) or None
