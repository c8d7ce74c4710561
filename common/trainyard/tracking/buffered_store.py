"""The tracking store of a run's process: writes are buffered, so that MLflow being away never stops a training.

Everything that autologging and the trainer write passes here. Reads about the run itself are answered
from what the service knew when it made the run; all else passes through. ADR 4 says why it is a store.
"""

import contextlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, Run, RunInfo, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.rest_store import RestStore
from mlflow.tracking._tracking_service.utils import _tracking_store_registry
from mlflow.utils.credentials import get_default_host_creds

from trainyard.tracking.availability import is_away
from trainyard.tracking.batches import Entry, apart, calls, described
from trainyard.tracking.overflow_queue import OverflowQueue

KEPT_METRIC = re.compile(
    r"((best_)?(train|validation)|scored|(champion_)?test)_[A-Za-z]\w*$|drift_max_psi$|system/|(best|stopped)_iteration$",
    re.ASCII,
)
BATCH = 500
INTERVAL_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
LONGEST_REFUSAL = 500


class BufferedStore(RestStore):
    """A REST store whose writes to one run are queued and sent in order by a thread.

    Metrics that do not carry the house's names are left out: autologging reports the same values under
    each library's own (`validation_0-logloss`, `val_loss`), and the trainers report them uniformly.
    A param keeps its first value, as MLflow would insist. `pending` holds what is not sent yet.
    """

    def __init__(
        self, get_host_creds: Callable[[], Any], run: Run, pending: OverflowQueue | None = None
    ) -> None:
        super().__init__(get_host_creds)
        self._run = run
        self._own: str | None = run.info.run_id
        self._pending = OverflowQueue() if pending is None else pending
        self._params: set[str] = set()
        self._refused: set[str] = set()
        self._wake = threading.Condition()
        self._flushing = False
        self._sending = False
        threading.Thread(target=self._send_for_ever, name="mlflow-buffer", daemon=True).start()

    def get_run(self, run_id: str) -> Run:
        """The run as the service made it, until `read_through`; other runs are asked for."""
        return self._run if run_id == self._own else super().get_run(run_id)

    def read_through(self) -> None:
        """From here the run is read back from MLflow: all that was written is there."""
        self._own = None

    def answers(self) -> bool:
        """Whether MLflow can show the run now, which takes its API and its database.

        Asked up to three times: after a refused upload the server closes the connection, and the next call may meet that.
        """
        return any(self._shows_the_run() for _ in range(3))

    def _shows_the_run(self) -> bool:
        try:
            super().get_run(self._run.info.run_id)
        except MlflowException as error:
            return not is_away(error)  # a refusal is an answer
        return True

    def update_run_info(
        self, run_id: str, run_status: Any, end_time: Any, run_name: Any
    ) -> RunInfo:
        """Nothing for this run: its status is the service's to set."""
        if run_id == self._run.info.run_id:
            return self._run.info
        info: RunInfo = super().update_run_info(run_id, run_status, end_time, run_name)
        return info

    def log_batch(
        self, run_id: str, metrics: list[Metric], params: list[Param], tags: list[RunTag]
    ) -> None:
        """Queue them; those of another run are sent at once."""
        if run_id != self._run.info.run_id:
            super().log_batch(run_id, metrics, params, tags)
            return
        kept = [metric for metric in metrics if KEPT_METRIC.match(metric.key)]
        new = [param for param in params if param.key not in self._params]
        self._params.update(param.key for param in new)
        self._queue(*kept, *new, *tags)

    def log_metric(self, run_id: str, metric: Metric) -> None:
        """Queue it."""
        self.log_batch(run_id, [metric], [], [])

    def log_param(self, run_id: str, param: Param) -> None:
        """Queue it."""
        self.log_batch(run_id, [], [param], [])

    def set_tag(self, run_id: str, tag: RunTag) -> None:
        """Queue it."""
        self.log_batch(run_id, [], [], [tag])

    def log_inputs(self, run_id: str, datasets: Any = None, models: Any = None) -> None:
        """Queue it."""
        self._queue(lambda: RestStore.log_inputs(self, run_id, datasets, models))

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all is sent. False when MLflow did not take it in time."""
        with self._wake:
            self._flushing = True
            self._wake.notify_all()
            sent = self._wake.wait_for(
                lambda: not len(self._pending) and not self._sending, timeout_seconds
            )
            self._flushing = False
        return sent

    @contextlib.contextmanager
    def still(self, timeout_seconds: float) -> Iterator[bool]:
        """Whether nothing is being sent; where that is so, nothing is before this is left."""
        with self._wake:
            yield self._wake.wait_for(lambda: not self._sending, timeout_seconds)

    def _queue(self, *entries: Entry) -> None:
        with self._wake:
            for entry in entries:
                self._pending.append(entry)
            self._wake.notify_all()

    def _send_for_ever(self) -> None:
        pause = INTERVAL_SECONDS
        while True:
            entries = self._next(pause)
            try:
                self._send_apart_if_refused(entries)
                pause = INTERVAL_SECONDS
            except Exception:  # noqa: BLE001 - only what means that MLflow is away comes here
                with self._wake:
                    self._pending.put_back(entries)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                if self._flushing:
                    time.sleep(min(pause, 1.0))  # the outage's pace, not a wait for luck
            finally:
                with self._wake:
                    self._sending = False
                    self._wake.notify_all()

    def _next(self, pause: float) -> list[Entry]:
        """The next entries to send, once there are some and either `pause` seconds have passed or somebody flushes."""
        with self._wake:
            self._wake.wait_for(lambda: len(self._pending))
            self._wake.wait_for(lambda: self._flushing, pause)
            self._sending = True
            return self._pending.take(BATCH)

    def _send_apart_if_refused(self, entries: list[Entry]) -> None:
        """Send them; of a batch that MLflow refuses, only what it refuses is left out, and the log says so once.

        A run that goes on from a checkpoint has such: autologging's `num_boost_round` is smaller then.
        """
        try:
            self._send(entries)
        except Exception as error:  # whatever it is, the thread goes on: flushes wait for it
            if is_away(error):
                raise
            groups = apart(entries)
            if len(groups) > 1:
                for group in groups:
                    self._send_apart_if_refused(group)
            elif (what := described(entries)) not in self._refused:
                self._refused.add(what)
                sys.stdout.write(f"MLflow refused {what}: {str(error)[:LONGEST_REFUSAL]}\n")

    def _send(self, entries: list[Entry]) -> None:
        for metrics, params, tags in calls(entries):
            super().log_batch(self._run.info.run_id, metrics, params, tags)
        for entry in entries:
            if callable(entry):
                entry()


def buffer_writes(run: Run, *, overflow: Path | None = None) -> BufferedStore:
    """Make every MLflow call of this process that writes to `run` go through a buffer; called once a process.

    `overflow` is the folder for what is too much for the memory; None for the folder of temporary files.
    """
    made: list[BufferedStore] = []

    def build(store_uri: str | None = None, **_: Any) -> BufferedStore:
        if not made:
            pending = OverflowQueue(overflow)
            made.append(BufferedStore(lambda: get_default_host_creds(store_uri), run, pending))
        return made[0]

    for scheme in ("http", "https"):
        _tracking_store_registry.register(scheme, build)
    with contextlib.suppress(AttributeError):
        _tracking_store_registry._get_store_with_resolved_uri.cache_clear()  # noqa: SLF001 - a store from before the fork must not be found
    return _tracking_store_registry.get_store()  # type: ignore[no-any-return]
