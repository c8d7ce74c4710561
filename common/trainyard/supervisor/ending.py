"""The end of a run: on disk, in MLflow, and for whoever waits."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from trainyard.contract import Run, RunStatus, steps, without_notes
from trainyard.people.ledger import Ledger
from trainyard.rundir.records import Outcome
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.known_runs import KnownRuns
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.measures import Measures, label_of
from trainyard.supervisor.mlflow_status import MlflowStatus, Spawn
from trainyard.supervisor.notices import Notices
from trainyard.supervisor.traces import Traces

ANNOUNCE_SECONDS = 2.0
"""Callers see the end once MLflow has it, or after so long."""
log = structlog.get_logger()


class Ending:
    """Ends runs. Nothing that fails on the way keeps a run from ending."""

    def __init__(  # noqa: PLR0913 - what takes part in an end, each by name
        self,
        *,
        known: KnownRuns,
        mlflow_status: MlflowStatus,
        measures: Measures,
        notices: Notices,
        traces: Traces,
        ledger: Ledger,
        blocking: Blocking,
        spawn: Spawn,
        forget_checkpoints: Callable[[LiveRun], None] = lambda _: None,
    ) -> None:
        self._known = known
        self._mlflow_status = mlflow_status
        self._measures = measures
        self._notices = notices
        self._traces = traces
        self._ledger = ledger
        self._blocking = blocking
        self._spawn = spawn
        self._forget_checkpoints = forget_checkpoints

    async def end(self, live: LiveRun, outcome: Outcome, *, told: bool = False) -> None:
        """Write the outcome down, tell MLflow, and show the end to who waits. `told`: MLflow shows it already.

        It is shown once it is on record, on disk or in MLflow: a service that starts later must find it.
        """
        written = await self._written(live, outcome)
        folder = live.folder
        left = (folder.published_request, folder.log, folder.findings)
        files = () if outcome.log_uploaded else left
        ended = live.run if live.run.status.ended else live.as_ended(outcome)
        await self._keep_notices(live, ended)
        telling = self._spawn(self._tell(live, ended, files, told=told))
        await self._note(ended)
        await asyncio.wait({telling}, timeout=ANNOUNCE_SECONDS)
        while not written and not telling.done():
            written = await self._written(live, outcome)
            await asyncio.wait({telling}, timeout=ANNOUNCE_SECONDS)
        live.end(outcome)
        self._known.note_end(live.run_id)
        try:
            self._measure(live.run)
            self._traces.ended(live.submission, live.run)
        except Exception:
            log.exception("a run's end cannot be counted", run_id=live.run_id)

    async def _keep_notices(self, live: LiveRun, ended: Run) -> None:
        try:
            await self._notices.ended(live, ended)
        except Exception:
            log.exception("those who are to be told of a run cannot be", run_id=live.run_id)

    async def _note(self, run: Run) -> None:
        try:
            await self._blocking.run(lambda: self._ledger.write(run))
        except Exception:
            log.exception("what a run used cannot be noted", run_id=run.run_id)

    async def _written(self, live: LiveRun, outcome: Outcome) -> bool:
        try:
            await self._blocking.run(lambda: live.folder.write_outcome(outcome))
        except Exception:
            log.exception("a run's outcome cannot be written", run_id=live.run_id)
            return False
        return True

    async def _tell(
        self, live: LiveRun, ended: Run, files: tuple[Path, ...], *, told: bool
    ) -> None:
        """One that MLflow refuses is left open: the next service asks again."""
        if not await self._mlflow_status.close(ended, files, told=told):
            return
        try:
            await self._blocking.run(live.folder.close)
        except Exception:
            log.exception("a run's folder cannot be marked as closed", run_id=live.run_id)
        try:
            await self._blocking.run(lambda: self._forget_checkpoints(live))
        except Exception:
            log.exception("a run's checkpoints cannot be removed", run_id=live.run_id)

    def _measure(self, run: Run) -> None:
        model = label_of(run)
        seconds = run.usage.run_seconds if run.usage else None
        self._measures.ended(model, run.status, run.reason, seconds)
        for step in steps(without_notes(run.transitions)):
            if step.following is None:
                continue
            took, began = (step.following.at - step.began.at).total_seconds(), step.began
            if began.phase:
                self._measures.phase_took(model, began.phase, took)
            elif step.following.status is RunStatus.RUNNING:
                self._measures.waited(model, took)
