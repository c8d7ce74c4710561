"""The tracking store of a run's process: writes are buffered, so that MLflow being away never stops a training.

Everything that autologging and the trainer write passes here. Reads about the run itself are answered
from what the service knew when it made the run; all else passes through. ADR 2 says why it is a store.
"""

import contextlib
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import requests
from mlflow.entities import Metric, Param, Run, RunInfo, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.rest_store import RestStore
from mlflow.tracking._tracking_service.utils import _tracking_store_registry
from mlflow.utils.credentials import get_default_host_creds

KEPT_METRIC = re.compile(r"(train|validation|test|system)[_/]|(best|stopped)_iteration$")
BATCH = 500
INTERVAL_SECONDS = 0.5


def is_away(error: BaseException) -> bool:
    """Whether the error means that MLflow did not answer or cannot now, so that trying again may help."""
    if isinstance(error, MlflowException):
        status = int(error.get_http_status_code())
        return status >= 500 or status == 429  # noqa: PLR2004 - HTTP's own numbers
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code >= 500  # noqa: PLR2004
    return isinstance(error, requests.RequestException)


class BufferedStore(RestStore):
    """A REST store whose writes to one run are queued and sent in order by a thread.

    Metrics that do not carry the house's names are left out: autologging reports the same values under
    each library's own (`validation_0-logloss`, `val_loss`), and the trainers report them uniformly.
    A param keeps its first value, as MLflow would insist.
    """

    def __init__(self, get_host_creds: Callable[[], Any], run: Run) -> None:
        super().__init__(get_host_creds)
        self._run = run
        self._own: str | None = run.info.run_id
        self._pending: deque[Metric | Param | RunTag | Callable[[], Any]] = deque()
        self._params: set[str] = set()
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

    def update_run_info(self, run_id: str, run_status: Any, end_time: Any, run_name: Any) -> RunInfo:
        """Nothing for this run: its status is the service's to set."""
        if run_id == self._run.info.run_id:
            return self._run.info
        info: RunInfo = super().update_run_info(run_id, run_status, end_time, run_name)
        return info

    def log_batch(self, run_id: str, metrics: list[Metric], params: list[Param], tags: list[RunTag]) -> None:
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
            sent = self._wake.wait_for(lambda: not self._pending and not self._sending, timeout_seconds)
            self._flushing = False
        return sent

    def _queue(self, *items: Any) -> None:
        with self._wake:
            self._pending.extend(items)
            self._wake.notify_all()

    def _send_for_ever(self) -> None:
        pause = INTERVAL_SECONDS
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._pending)
                self._wake.wait_for(lambda: self._flushing, pause)
                items = [self._pending.popleft() for _ in range(min(BATCH, len(self._pending)))]
                self._sending = True
            try:
                self._send_apart_if_refused(items)
                pause = INTERVAL_SECONDS
            except Exception:  # noqa: BLE001 - only what means that MLflow is away comes here
                with self._wake:
                    self._pending.extendleft(reversed(items))
                pause = min(pause * 2, 10.0)
                if self._flushing:
                    time.sleep(min(pause, 1.0))  # the outage's pace, not a wait for luck
            finally:
                with self._wake:
                    self._sending = False
                    self._wake.notify_all()

    def _send_apart_if_refused(self, items: list[Any]) -> None:
        """Send them; of a batch that MLflow refuses, only what it refuses is left out.

        A run that goes on from a checkpoint has such: autologging's `num_boost_round` is smaller then.
        """
        try:
            self._send(items)
        except Exception as error:  # whatever it is, the thread goes on: flushes wait for it
            if is_away(error):
                raise
            parts = _apart(items)
            if len(parts) > 1:
                for part in parts:
                    self._send_apart_if_refused(part)
            else:
                sys.stdout.write(f"MLflow refused {len(items)} of what was logged: {error}\n")

    def _send(self, items: list[Any]) -> None:
        of = lambda kind: [item for item in items if isinstance(item, kind)]  # noqa: E731
        metrics, params, tags = of(Metric), of(Param), of(RunTag)
        if metrics or params or tags:
            super().log_batch(self._run.info.run_id, metrics, params[:100], tags[:100])
            if len(params) > 100 or len(tags) > 100:  # noqa: PLR2004 - MLflow's limits a batch
                super().log_batch(self._run.info.run_id, [], params[100:], tags[100:])
        for item in items:
            if callable(item):
                item()


def _apart(items: list[Any]) -> list[list[Any]]:
    """All metrics together, all else one by one."""
    metrics = [item for item in items if isinstance(item, Metric)]
    return [part for part in (metrics, *([item] for item in items if not isinstance(item, Metric))) if part]


def buffer_writes(run: Run) -> BufferedStore:
    """Make every MLflow call of this process that writes to `run` go through a buffer; called once a process."""
    made: list[BufferedStore] = []

    def build(store_uri: str | None = None, **_: Any) -> BufferedStore:
        if not made:
            made.append(BufferedStore(lambda: get_default_host_creds(store_uri), run))
        return made[0]

    for scheme in ("http", "https"):
        _tracking_store_registry.register(scheme, build)
    with contextlib.suppress(AttributeError):
        _tracking_store_registry._get_store_with_resolved_uri.cache_clear()  # noqa: SLF001 - a store from before the fork must not be found
    return _tracking_store_registry.get_store()  # type: ignore[no-any-return]
