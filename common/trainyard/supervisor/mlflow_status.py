"""Telling MLflow where runs stand, in order, however long MLflow is away."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from trainyard.contract import Run, RunStatus
from trainyard.errors import Unavailable
from trainyard.supervisor.blocking import Blocking
from trainyard.tracking.runs import Tracking

UPLOAD_TRIES = 5
UPLOAD_PAUSE_SECONDS = 2.0
log = structlog.get_logger()
Spawn = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class MlflowStatus:
    """Tells MLflow the status of each run: the newest one that is known, one call a run at a time."""

    def __init__(
        self,
        tracking: Tracking,
        blocking: Blocking,
        spawn: Spawn,
        *,
        upload_pause_seconds: float = UPLOAD_PAUSE_SECONDS,
    ) -> None:
        self._tracking = tracking
        self._blocking = blocking
        self._spawn = spawn
        self._upload_pause_seconds = upload_pause_seconds
        self._told: dict[str, RunStatus] = {}
        self._wanted: dict[str, RunStatus] = {}
        self._telling: dict[str, asyncio.Task[Any]] = {}
        self._waiting_runs_lane = asyncio.Lock()

    def made(self, run_id: str) -> None:
        """MLflow has just made the run, as RUNNING."""
        self._told[run_id] = RunStatus.RUNNING

    def tell(self, run_id: str, status: RunStatus) -> None:
        """Let MLflow know, soon. Returns at once."""
        self._wanted[run_id] = status
        if run_id not in self._telling and status is not self._told.get(run_id):
            self._telling[run_id] = self._spawn(self._tell(run_id))

    async def close(self, ended: Run, files: tuple[Path, ...], *, told: bool = False) -> bool:
        """Write how the run ended, as often as it takes, then upload the files. Whether MLflow has its end now.

        The status comes first: it reaches MLflow even where the artifact store refuses the files. It is left as
        it is where MLflow was `told` before.
        """
        run_id = ended.run_id
        self._wanted.pop(run_id, None)
        if telling := self._telling.get(run_id):
            await asyncio.wait({telling})
        self._told.pop(run_id, None)
        try:
            if not told:
                await self._blocking.until_mlflow_answers(lambda: self._tracking.close(ended))
        except Exception:
            log.exception("MLflow refuses the end of a run", run_id=run_id)
            return await self._is_over(run_id)
        for file in files:
            await self._upload(run_id, file)
        return True

    async def _is_over(self, run_id: str) -> bool:
        """Whether somebody has ended the run in MLflow, or deleted it."""
        try:
            status = await self._blocking.until_mlflow_answers(
                lambda: self._tracking.status(run_id)
            )
        except Exception:
            log.exception("MLflow refuses to tell of a run", run_id=run_id)
            return False
        return status is None or status.ended

    async def _tell(self, run_id: str) -> None:
        try:
            while (status := self._due(run_id)) is not None:
                if status is RunStatus.SCHEDULED:
                    await self._tell_in_turn(run_id)
                else:
                    await self._tell_once(run_id, status)
        finally:
            del self._telling[run_id]

    def _due(self, run_id: str) -> RunStatus | None:
        """What MLflow does not know of the run yet."""
        status = self._wanted.get(run_id)
        return None if status is self._told.get(run_id) else status

    async def _tell_in_turn(self, run_id: str) -> None:
        """Tell of one waiting run at a time: a burst of submits needs MLflow more, and many start meanwhile."""
        async with self._waiting_runs_lane:
            if self._due(run_id) is RunStatus.SCHEDULED:
                await self._tell_once(run_id, RunStatus.SCHEDULED)

    async def _tell_once(self, run_id: str, status: RunStatus) -> None:
        try:
            await self._blocking.mlflow(lambda: self._tracking.set_status(run_id, status))
        except Unavailable:
            self._told.pop(run_id, None)  # it may have been written, and the answer lost
            await self._blocking.mlflow_is_back()
            return
        except Exception:
            log.exception("MLflow refuses a run's status", run_id=run_id, status=str(status))
        self._told[run_id] = status

    async def _upload(self, run_id: str, file: Path) -> None:
        """Try a few times. An MLflow that is away is waited for; a store that refuses is not."""
        tries = 0
        while await self._blocking.run(file.exists):
            try:
                await self._blocking.mlflow(lambda: self._tracking.upload(run_id, file))
            except Unavailable:
                if not await self._blocking.mlflow_answers():
                    await self._blocking.mlflow_is_back()
                    continue
                tries += 1
                if tries == UPLOAD_TRIES:
                    log.warning("the artifact store refuses a file", run_id=run_id, file=file.name)
                    return
                await asyncio.sleep(self._upload_pause_seconds)
            except Exception:
                log.exception("MLflow refuses a file", run_id=run_id, file=file.name)
                return
            else:
                return
