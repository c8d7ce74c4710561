"""What a starting service finds of an earlier one: runs that have ended, runs to queue again, runs to give up."""

from collections.abc import AsyncIterator, Container
from dataclasses import dataclass
from pathlib import Path

import structlog
from mlflow.exceptions import MlflowException

from trainyard.contract import Reason, Run
from trainyard.launcher.protocol import Launcher
from trainyard.rundir.folder import RunFolder, remove_drafts, run_folders
from trainyard.rundir.records import Cancelled, Outcome, State, Submission
from trainyard.scarcity import is_scarce
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.decision import (
    Again,
    Close,
    GoesOn,
    cancelled_while_it_waited,
    decide,
    ended_by,
    signed,
)
from trainyard.tracking.runs import Tracking, Unended

log = structlog.get_logger()


@dataclass(frozen=True)
class Found:
    """A run that has not ended as far as its folder says, and what follows."""

    folder: RunFolder
    submission: Submission
    state: State
    decision: Close | Again | GoesOn
    cancelled: Cancelled | None = None
    """That somebody cancelled it, where its process goes on nevertheless."""
    told: bool = False
    """Whether MLflow shows the run as ended already; a terminal status never changes."""


class Recovery:
    """One look at the work directory and at MLflow."""

    def __init__(
        self,
        runs_dir: Path,
        tracking: Tracking,
        launcher: Launcher,
        blocking: Blocking,
        known: Container[str] = (),
    ) -> None:
        """`known` runs were taken up already, and are left alone."""
        self._runs_dir = runs_dir
        self._tracking = tracking
        self._launcher = launcher
        self._blocking = blocking
        self._known = known
        self._whole: set[str] = set()

    async def look(self) -> list[Found]:
        """The runs to close and to queue, these in the order in which they are to start."""
        await self._blocking.run(lambda: remove_drafts(self._runs_dir))
        found = [each async for each in self._in_folders()]
        return sorted(
            found, key=lambda each: (each.state.starts == 0, each.submission.submitted_at)
        )

    async def give_up_the_homeless(self, uids: tuple[str, ...]) -> None:
        """End the runs that MLflow shows as under way and whose folder cannot be read, or was lost with a work directory.

        A run of this work directory that has no folder and never began was never accepted: it is left to the watch
        for orphans.
        """
        own, lost = uids[:1], uids[1:]
        homeless = {
            each.run.run_id: each.run
            for each in await self._unended(own)
            if each.submission is None or each.begun or (self._runs_dir / each.run.run_id).exists()
        }
        if lost:
            homeless |= {each.run.run_id: each.run for each in await self._unended(lost)}
        for run_id, run in homeless.items():
            if run_id not in self._whole:
                await self._give_up(run)

    async def _unended(self, uids: tuple[str, ...]) -> list[Unended]:
        """Those that MLflow tells of; where it refuses to tell, what is in folders is taken up nevertheless."""
        try:
            return await self._blocking.until_mlflow_answers(lambda: self._tracking.unended(uids))
        except MlflowException:
            log.exception("MLflow refuses to tell which runs have not ended")
            return []

    async def _give_up(self, run: Run) -> None:
        ended = _given_up(run)
        try:
            await self._blocking.until_mlflow_answers(lambda: self._tracking.close(ended))
        except Exception:
            log.exception("MLflow refuses the end of a run", run_id=run.run_id)

    async def _in_folders(self) -> AsyncIterator[Found]:
        for folder in await self._blocking.run(self._to_sort):
            submission = await self._blocking.run(folder.submission)
            if submission is None:
                log.warning("a run folder without a readable request", folder=str(folder.path))
                continue
            self._whole.add(submission.run_id)
            try:
                found = await self._sort(folder, submission)
            except Exception as error:
                if passes(error):
                    raise
                log.exception("a run cannot be taken up", run_id=submission.run_id)
                outcome = ended_by(Reason.CRASHED, f"the service cannot take it up: {error}")
                found = Found(folder, submission, State(), Close(outcome))
            if found:
                yield found

    def _to_sort(self) -> list[RunFolder]:
        """The folders of runs whose end MLflow was not told. Of the others, thousands where many run, no file is read."""
        folders = list(run_folders(self._runs_dir))
        self._whole.update(
            folder.path.name
            for folder in folders
            if folder.closed or folder.path.name in self._known
        )
        return [folder for folder in folders if folder.path.name not in self._whole]

    async def _sort(self, folder: RunFolder, submission: Submission) -> Found | None:
        state = await self._blocking.run(folder.state)
        cancelled = await self._blocking.run(folder.cancelled)
        if state.held and await self._goes_on(submission, state):
            state.lives += 1
            return Found(folder, submission, state, GoesOn(), cancelled)
        await self._end_what_survived(folder, state)
        state.lives += 1
        outcome = await self._blocking.run(folder.outcome)
        status = await self._blocking.until_mlflow_answers(
            lambda: self._tracking.status(submission.run_id)
        )
        if status is None or status.ended:
            if outcome is None or outcome.status is not status:
                await self._close(folder)
                return None
            return Found(folder, submission, state, Close(outcome), told=True)
        if cancelled:
            return Found(folder, submission, state, _as_asked(cancelled, state, outcome))
        if outcome is None and state.starts:
            # One that registered may have a version with the alias: it is not to be called failed.
            if folder.registering.exists():
                state.starts -= 1
            else:
                outcome = _interrupted(submission)
        return Found(folder, submission, state, decide(submission.request, state, outcome, None))

    async def _close(self, folder: RunFolder) -> None:
        """The run is over, and MLflow has its end; where the disk takes no note of it the next start closes the folder."""
        try:
            await self._blocking.run(folder.close)
        except OSError:
            log.exception("a run's folder cannot be marked as closed", folder=str(folder.path))

    async def _goes_on(self, submission: Submission, state: State) -> bool:
        """Whether its process is on another host, and MLflow does not show the run as ended."""
        if not (state.process_id and self._launcher.keeps_runs):
            return False
        process = await self._launcher.find(state.process_id)
        if process is None:
            return False
        process.let_go()
        status = await self._blocking.until_mlflow_answers(
            lambda: self._tracking.status(submission.run_id)
        )
        return status is not None and not status.ended

    async def _end_what_survived(self, folder: RunFolder, state: State) -> None:
        """No process of an earlier service goes on; the time it trained counts."""
        noted = await self._blocking.run(lambda: folder.processes)
        for each in dict.fromkeys(filter(None, (state.process_id, *noted))):
            await self._end(each)
        if state.process_id is None:
            return
        last = folder.last_sign_of_life()
        if last and state.process_started_at:
            seconds = max(0.0, (last - state.process_started_at).total_seconds())
            state.seconds_trained += seconds
            state.gpu_seconds += seconds * state.gpus
        state.cpu_seconds = state.peak_memory_mb = None
        state.process_id = None

    async def _end(self, process_id: str) -> None:
        process = await self._launcher.find(process_id)
        if process is not None:
            process.kill()
            await process.ended()
            process.release()


def passes(error: Exception) -> bool:
    """Whether it is this machine's, for a moment: no file, process, thread or memory to be had."""
    return is_scarce(error) or isinstance(error, RuntimeError)


def _as_asked(cancelled: Cancelled, state: State, outcome: Outcome | None) -> Close:
    """The end of a run that somebody cancelled: as it ended by itself before it heard of that, or so."""
    if outcome is None and not state.starts:
        return Close(cancelled_while_it_waited(cancelled.by))
    return Close(signed(outcome or ended_by(Reason.CANCELLED), cancelled.by))


def _interrupted(submission: Submission) -> Outcome:
    most = submission.request.max_attempts
    return ended_by(
        Reason.SERVICE_RESTARTED,
        f"the service ended while the run trained, and max_attempts is {most}",
    )


def _given_up(run: Run) -> Run:
    outcome = ended_by(
        Reason.SERVICE_RESTARTED, "the service has no readable work directory of this run"
    )
    return run.model_copy(
        update=outcome.model_dump(include={"status", "reason", "message", "ended_at"})
    )
