"""Trials as nested runs in MLflow, written by a thread once each trial has ended.

The truth is in the run's folder. An MLflow that is away is waited for here, while the search goes on; what a process
did not come to write, the next one does.
"""

import sys
import threading
from collections import deque
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run

from trainyard.contract import RunStatus
from trainyard.errors import TrackingUnavailable
from trainyard.rundir.records import Submission
from trainyard.tracking.availability import is_away
from trainyard.tracking.trials import END, NUMBER, PARENT, RANK
from trainyard.worker.search.record import TrialRecord

LOST = "lost: its study was, with its host; the search began anew"
METRICS_A_CALL = 900
MOST_PARAMS = 100
"""Together what MLflow takes in one call."""
LONGEST_PAUSE_SECONDS = 5.0
STATUS = {"completed": RunStatus.FINISHED, "failed": RunStatus.FAILED}
"""By the end of a trial; all others were ended before they were over."""


class Mirror:
    """Makes the nested runs. A trial's run never waits: it is made once the trial has ended, and ended at once."""

    def __init__(self, submission: Submission, client: MlflowClient, folder: Path) -> None:
        self._submission = submission
        self._client = client
        self._folder = folder
        self._waiting: deque[int] = deque()
        self._there: dict[int, str] | None = None
        self._anew = False
        self._changed = threading.Condition()
        self._writing = False
        self._leaving = False
        self._thread = threading.Thread(target=self._write_for_ever, name="trials", daemon=True)
        self._thread.start()

    def begin_anew(self) -> None:
        """The study has no trials: those that MLflow may have were lost with their host, and are none of its own. Before any other call."""
        self._anew = True

    def add(self, number: int) -> None:
        """The trial has ended, and its record is kept."""
        with self._changed:
            self._waiting.append(number)
            self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Wait until MLflow has them all. Raises `TrackingUnavailable` when it takes too long."""
        if not self.flush(seconds):
            raise TrackingUnavailable

    def flush(self, seconds: float) -> bool:
        """Wait until MLflow has them all; False where it has not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._writing, seconds)

    def _write_for_ever(self) -> None:
        pause = 0.2
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                number, self._writing = self._waiting.popleft(), True
            again = False
            try:
                self._write(number)
                pause = 0.2
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on: somebody waits for it
                again = is_away(error)
                if not again:
                    sys.stdout.write(f"MLflow refused trial {number}: {str(error)[:500]}\n")
            with self._changed:
                if again:
                    self._waiting.appendleft(number)
                self._writing = False
                self._changed.notify_all()
                if again:
                    self._changed.wait_for(lambda: self._leaving, pause)
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _write(self, number: int) -> None:
        record = TrialRecord.read(self._folder, number)
        if record is None:
            return
        run_id = self._unended(number) or self._made(record)
        if not run_id:
            return
        params = [Param(name, str(value)) for name, value in record.params.items()][:MOST_PARAMS]
        metrics = _metrics(record)
        for start in range(0, max(1, len(metrics)), METRICS_A_CALL):
            some = metrics[start : start + METRICS_A_CALL]
            self._client.log_batch(run_id, metrics=some, params=() if start else params)
        status = STATUS.get(record.end, RunStatus.KILLED)
        self._client.set_terminated(run_id, str(status), record.ended)
        self._found()[number] = ""

    def _unended(self, number: int) -> str | None:
        """The trial's run that is there and has not ended; empty for one that has, None for none."""
        return self._found().get(number)

    def _made(self, record: TrialRecord) -> str:
        if record.number in self._found():
            return ""
        tags = {
            PARENT: self._submission.run_id,
            NUMBER: str(record.number),
            END: record.in_words[:5000],
            "mlflow.user": self._submission.submitted_by or "trainyard",
            "trainyard.model": self._submission.request.model,
        }
        if self._submission.request.workers > 1:
            tags[RANK] = str(record.rank)
        made = self._client.create_run(
            self._submission.experiment_id,
            start_time=record.began,
            tags=tags,
            run_name=f"{self._submission.run_name}-trial-{record.number}"[:250],
        )
        run_id = str(made.info.run_id)
        self._found()[record.number] = run_id
        return run_id

    def _found(self) -> dict[int, str]:
        """The trials that MLflow has already, from an earlier process: the id of one that has not ended, else empty."""
        if self._there is None:
            there: dict[int, str] = {}
            token = None
            while True:
                page = self._client.search_runs(
                    [self._submission.experiment_id],
                    f"tags.`{PARENT}` = '{self._submission.run_id}'",
                    max_results=1000,
                    page_token=token,
                )
                for each in page:
                    if self._anew:
                        self._disown(each)
                        continue
                    ended = RunStatus(each.info.status).ended
                    number = int(each.data.tags.get(NUMBER, -1))
                    there[number] = "" if ended else each.info.run_id
                token = page.token
                if not token:
                    break
            self._there = there
        return self._there

    def _disown(self, trial: Run) -> None:
        """Say that the trial does not count, and leave its number to another."""
        if NUMBER not in trial.data.tags:
            return
        run_id = trial.info.run_id
        self._client.set_tag(run_id, END, LOST)
        self._client.set_terminated(run_id, str(RunStatus.KILLED), trial.info.end_time)
        self._client.delete_tag(run_id, NUMBER)


def _metrics(record: TrialRecord) -> list[Metric]:
    last = record.rounds[-1].step if record.rounds else 0
    rounds = [
        Metric(name, value, each.at, each.step)
        for each in record.rounds
        for name, value in each.metrics.items()
    ]
    final = [Metric(name, value, record.ended, last + 1) for name, value in record.metrics.items()]
    return rounds + final
