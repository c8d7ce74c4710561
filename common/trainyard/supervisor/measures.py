"""What a service counts and times, for Prometheus, in a registry of its own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from trainyard.contract import Phase, Reason, Run, RunKind, RunRequest, RunStatus

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 150, 300, 600, 1800, 3600, 7200, 21600)
"""Upper edges of the histograms' buckets: from a fork to a long training."""


def label_of(run: Run | RunRequest) -> str:
    """What stands in the label `model`: the model that is trained; `score` for all models that are scored.

    Those are versions, of which there is no end, and Prometheus keeps a series for each label for ever.
    """
    return run.model if run.kind is RunKind.TRAIN else run.kind.value


class Measures:
    """Filled in by the supervisor as runs live; read by whoever asks `/metrics`. No method can fail a run.

    A run is `accepted` once, `waited` once for each time it left the queue for a slot, has a
    `phase_took` for each phase that it left, and `ended` once.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._accepted = Counter(
            "trainyard_runs_accepted", "Runs accepted", ["model"], registry=self.registry
        )
        self._ended = Counter(
            "trainyard_runs_ended",
            "Runs ended, by status, model, and the reason of those that did not finish",
            ["status", "model", "reason"],
            registry=self.registry,
        )
        self._waits = Histogram(
            "trainyard_queue_wait_seconds",
            "Time from a run's submit, or its return to the queue, to its slot",
            ["model"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._runs = Histogram(
            "trainyard_run_seconds",
            "Time that runs had a slot, over all attempts, by model, and the reason of those that did not finish",
            ["model", "reason"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._phases = Histogram(
            "trainyard_run_phase_seconds",
            "Time that runs spent in each phase",
            ["phase", "model"],
            buckets=SECONDS,
            registry=self.registry,
        )

    def watch(
        self,
        *,
        queued: Callable[[], float],
        running: Callable[[], float],
        slots: Callable[[], float],
        queue_limit: Callable[[], float],
    ) -> None:
        """Show what these functions answer whenever `/metrics` is asked. Call it once, at start."""
        self._shown("trainyard_runs_queued", "Runs that wait for a slot", queued)
        self._shown("trainyard_runs_running", "Runs that have a slot", running)
        self._shown("trainyard_slots", "Runs that may run at once", slots)
        self._shown("trainyard_queue_limit", "Runs that may wait", queue_limit)

    def accepted(self, model: str) -> None:
        """A run was accepted."""
        self._accepted.labels(model).inc()

    def waited(self, model: str, seconds: float) -> None:
        """A run got its slot after so long."""
        self._waits.labels(model).observe(seconds)

    def phase_took(self, model: str, phase: Phase, seconds: float) -> None:
        """A run left a phase after so long."""
        self._phases.labels(phase, model).observe(seconds)

    def ended(
        self, model: str, status: RunStatus, reason: Reason | None, run_seconds: float | None = None
    ) -> None:
        """A run ended, after so long in a slot. A finished one has no reason, which Prometheus writes as an empty label."""
        self._ended.labels(status, model, reason or "").inc()
        if run_seconds is not None:
            self._runs.labels(model, reason or "").observe(run_seconds)

    def _shown(self, name: str, description: str, function: Callable[[], float]) -> None:
        Gauge(name, description, registry=self.registry).set_function(function)
