"""CPU, memory, disk, network and GPU use of a run, as MLflow measures them."""

import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


class SystemMetrics:
    """MLflow's monitor, made and started in a thread: it looks for GPUs first, and nobody waits for that.

    A process that is forked meanwhile would find modules that this thread imports locked for ever (ADR 29).
    """

    def __init__(self, run_id: str, *, at_once: bool = True) -> None:
        self._run_id = run_id
        self._monitor: Future[SystemMetricsMonitor] | None = None
        if at_once:
            self.start()

    def start(self) -> None:
        """Start it, unless it was started before."""
        if self._monitor is None:
            with_one_thread = ThreadPoolExecutor(1, thread_name_prefix="system-metrics")
            self._monitor = with_one_thread.submit(_started, self._run_id)
            with_one_thread.shutdown(wait=False)

    def settle(self) -> None:
        """Wait until it has started, where that was begun: a process may be forked then."""
        if self._monitor is not None:
            wait([self._monitor])

    def finish(self) -> None:
        """End the monitor, and log the samples of its last, unfinished interval: a short run has no other.

        A monitor that could not be started costs the run its system metrics, and nothing else.
        """
        if self._monitor is None:
            return
        if error := self._monitor.exception():
            sys.stdout.write(f"no system metrics: {error}\n")
            return
        monitor = self._monitor.result()
        monitor.finish()
        monitor.publish_metrics(monitor.aggregate_metrics())
        monitor.mlflow_logger.flush()


def _started(run_id: str) -> SystemMetricsMonitor:
    monitor = SystemMetricsMonitor(run_id, sampling_interval=1, samples_before_logging=10)
    monitor.start()
    return monitor
