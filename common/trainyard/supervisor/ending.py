"""The end of a run: on disk, in MLflow, and for whoever waits."""

import asyncio
from itertools import pairwise
from pathlib import Path

import structlog

from trainyard.contract import Run, RunStatus
from trainyard.rundir.records import Outcome
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.known_runs import KnownRuns
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.measures import Measures, label_of
from trainyard.supervisor.mlflow_status import MlflowStatus, Spawn

ANNOUNCE_SECONDS = 2.0
"""Callers see the end once MLflow has it, or after so long."""
log = structlog.get_logger()


class Ending:
    """Ends runs. Nothing that fails on the way keeps a run from ending."""

    def __init__(
        self,
        known: KnownRuns,
        mlflow_status: MlflowStatus,
        measures: Measures,
        blocking: Blocking,
        spawn: Spawn,
    ) -> None:
        self._known = known
        self._mlflow_status = mlflow_status
        self._measures = measures
        self._blocking = blocking
        self._spawn = spawn

    async def end(self, live: LiveRun, outcome: Outcome, *, told: bool = False) -> None:
        """Write the outcome down, tell MLflow, and show the end to who waits. `told`: MLflow shows it already.

        It is shown once it is on record, on disk or in MLflow: a service that starts later must find it.
        """
        written = await self._written(live, outcome)
        files = () if outcome.log_uploaded else (live.folder.published_request, live.folder.log)
        ended = live.run if live.run.status.ended else live.as_ended(outcome)
        telling = self._spawn(self._tell(live, ended, files, told=told))
        await asyncio.wait({telling}, timeout=ANNOUNCE_SECONDS)
        while not written and not telling.done():
            written = await self._written(live, outcome)
            await asyncio.wait({telling}, timeout=ANNOUNCE_SECONDS)
        live.end(outcome)
        self._known.note_end(live.run_id)
        self._measure(live.run)

    async def _written(self, live: LiveRun, outcome: Outcome) -> bool:
        try:
            await self._blocking.run(lambda: live.folder.write_outcome(outcome))
        except OSError:
            log.exception("a run's outcome cannot be written", run_id=live.run_id)
            return False
        return True

    async def _tell(
        self, live: LiveRun, ended: Run, files: tuple[Path, ...], *, told: bool
    ) -> None:
        await self._mlflow_status.close(ended, files, told=told)
        try:
            await self._blocking.run(live.folder.close)
        except OSError:
            log.exception("a run's folder cannot be marked as closed", run_id=live.run_id)

    def _measure(self, run: Run) -> None:
        model = label_of(run)
        self._measures.ended(model, run.status, run.reason)
        for step, following in pairwise(run.transitions):
            seconds = (following.at - step.at).total_seconds()
            if step.phase:
                self._measures.phase_took(model, step.phase, seconds)
            elif step.status is RunStatus.SCHEDULED and following.status is RunStatus.RUNNING:
                self._measures.waited(model, seconds)
