"""Runs and errors in words: how they stand, how long things took, and what to do about an end that nobody wished for."""

from datetime import UTC, datetime

from trainyard.contract import Phase, Reason, Run, RunStatus
from trainyard.errors import RequestError, TrainyardError

WORDS = {
    RunStatus.SCHEDULED: "waiting",
    RunStatus.RUNNING: "running",
    RunStatus.FINISHED: "finished",
    RunStatus.FAILED: "failed",
    RunStatus.KILLED: "cancelled",
}
ADVICE = {
    Reason.INVALID_DATA: "The data cannot be trained on as it is: the message says what is wrong. Mend the data, or say in the request how its columns are to be read.",
    Reason.INVALID_PARAMS: "The model cannot work with these params together: the message says which. Train again with others.",
    Reason.DIVERGED: "The loss became infinite. Try a smaller learning rate.",
    Reason.CRASHED: "The model's own code broke off. The end of the log says where; the same request is likely to end the same way.",
    Reason.OUT_OF_MEMORY: "Memory ran out. Train with fewer rows or a smaller batch_size, on_out_of_memory as halve_batch, or give the service more memory.",
    Reason.GPU_OUT_OF_MEMORY: "The GPU's memory ran out. Take a smaller batch_size, or on_out_of_memory as halve_batch.",
    Reason.DISK_FULL: "The service's volume is full. Make room, and train again.",
    Reason.KILLED_BY_SIGNAL: "Something outside killed the process; often the kernel, when memory is short. Train again.",
    Reason.TRACKING_UNAVAILABLE: "MLflow was away for too long. Once it is back, train again.",
    Reason.REGISTRY_CONFLICT: "MLflow refused the registration: the message says why. The model itself is logged.",
    Reason.SERVICE_RESTARTED: "The service was restarted, and the run had no attempt left. Train again, or give it more max_attempts.",
    Reason.TIMED_OUT: "It trained for longer than timeout_seconds. Give it more, or train less.",
    Reason.CANCELLED: "Somebody asked for it. Train again where that was a mistake.",
}


def phase_in_words(phase: Phase) -> str:
    """Such as "loading data"."""
    return phase.value.replace("_", " ")


def standing(run: Run) -> str:
    """How the run stands, in two words or three."""
    if run.queue_position:
        return f"waiting, place {run.queue_position}"
    if run.phase and run.status is RunStatus.RUNNING:
        return phase_in_words(run.phase)
    return f"{WORDS[run.status]}: {run.reason}" if run.reason else WORDS[run.status]


def duration(seconds: float) -> str:
    """Such as 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(at: datetime) -> str:
    """Such as 2026-11-28 09:12:03 UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def progress_in_words(run: Run) -> str:
    """How far it is, and how long it will take; empty where nothing is known."""
    if run.progress is None or run.status.ended:
        return ""
    progress = run.progress
    eta = "" if progress.eta_seconds is None else f", {duration(progress.eta_seconds)} left"
    return f"{progress.done:,} of {progress.total:,} {progress.unit}{eta}"


def newest_metric(run: Run) -> str:
    """The metric that tells most: of the test rows, else of validation, else of training; a loss or error before others."""
    for part in ("test_", "validation_", "train_"):
        found = sorted(
            (not name.endswith(("_loss", "_error")), name)
            for name in run.metrics
            if name.startswith(part)
        )
        if found:
            name = found[0][1]
            return f"{name} {run.metrics[name]:.5g}"
    return ""


def said(error: TrainyardError) -> str:
    """The error in words, with its bad fields."""
    fields = error.errors if isinstance(error, RequestError) else ()
    named = [f"{each.pointer}: {each.detail}" for each in fields]
    return "; ".join(named) or error.detail
