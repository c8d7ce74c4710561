"""What callers ask about runs: one, a page of them, a log, curves, the request; and about the registry."""

from pathlib import Path

from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from trainyard.contract import (
    Curves,
    Direction,
    ModelVersionInfo,
    RegisteredModelPage,
    Run,
    RunPage,
    RunRequest,
    RunStatus,
    Search,
    TrainRequest,
    TrialPage,
)
from trainyard.errors import UnknownModel, UnknownRun
from trainyard.rundir.curves import curves, of_journal
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Submission
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.known_runs import KnownRuns
from trainyard.tracking.runs import Tracking, no_cursor
from trainyard.tracking.trials import best_so_far


class Queries:
    """Answers from memory what is known there, and from MLflow what is not."""

    def __init__(
        self, known: KnownRuns, tracking: Tracking, blocking: Blocking, runs_dir: Path
    ) -> None:
        self._known = known
        self._tracking = tracking
        self._blocking = blocking
        self._runs_dir = runs_dir

    async def get(self, run_id: str) -> Run:
        """The run as it stands. Raises `UnknownRun` or `Unavailable`."""
        if live := self._known.get(run_id):
            return live.run
        try:
            run = await self._blocking.mlflow(lambda: self._tracking.read(run_id))
        except MlflowException as error:
            raise UnknownRun(f"this service has no run {run_id!r}") from error
        if run is None:
            raise UnknownRun(f"this service has no run {run_id!r}")
        return run

    async def wait(self, run_id: str, seconds: float, since: int | None) -> Run:
        """The run once it ended, or once its version passed `since`, or after `seconds`."""
        if live := self._known.get(run_id):
            return await live.wait(seconds, since)
        return await self.get(run_id)

    def live_json(self, run_id: str) -> bytes | None:
        """A live or recent run as JSON; None where only `get` can tell."""
        live = self._known.get(run_id)
        return live.json() if live else None

    async def page(
        self,
        *,
        status: RunStatus | None,
        model: str | None,
        experiment: str | None,
        limit: int,
        cursor: str | None,
    ) -> RunPage:
        """Runs, newest first. Raises `Invalid` for a cursor that was never given out."""
        if any("'" in each and '"' in each for each in (model or "", experiment or "")):
            return RunPage(runs=[])  # MLflow's filters have no way to write both
        conditions = [
            f"attributes.status = '{status}'" if status else "",
            f"tags.`trainyard.model` = {_quoted(model)}" if model else "",
            f"tags.`trainyard.experiment` = {_quoted(experiment)}" if experiment else "",
        ]
        condition = " and ".join(filter(None, conditions))
        page = await self._blocking.mlflow(
            lambda: self._tracking.search(condition, limit=limit, cursor=cursor)
        )
        return RunPage(runs=[self._newest(run) for run in page.runs], cursor=page.cursor)

    def log_path(self, run_id: str) -> Path | None:
        """The local training.log, if there is one."""
        path = RunFolder(self._runs_dir / run_id).log
        return path if path.exists() else None

    async def log_text(self, run_id: str) -> str:
        """An ended run's log, read from MLflow."""
        try:
            return await self._blocking.mlflow(lambda: self._tracking.log_text(run_id))
        except MlflowException as error:
            raise UnknownRun(f"run {run_id!r} left no log") from error

    async def curves(self, run: Run) -> Curves:
        """What the run measured, from its folder, or as MLflow has it, once the run has ended and the journal is gone."""
        file = RunFolder(self._runs_dir / run.run_id).metrics
        found = await self._blocking.run(lambda: of_journal(file))
        names = list(run.metrics)
        if found.metrics or not names or not run.status.ended:
            return found
        return curves(
            await self._blocking.mlflow(lambda: self._tracking.history(run.run_id, names))
        )

    async def trials(self, run: Run, *, limit: int, cursor: str | None) -> TrialPage:
        """A page of the trials of the run's search, the best first. Raises `Invalid` for a cursor that was never given out."""
        direction = await self._direction(run)
        try:
            return await self._blocking.mlflow(
                lambda: self._tracking.trials(run, direction, limit=limit, cursor=cursor)
            )
        except MlflowException as error:
            raise no_cursor(cursor) from error

    async def _direction(self, run: Run) -> Direction:
        """Where the run's search goes: as it found, or as it was asked for."""
        if run.searched is not None:
            return run.searched.direction
        metric = best_so_far(run) or ""
        try:
            request = await self.published_request(run.run_id) if metric else None
        except UnknownRun:
            request = None
        asked = request.search if isinstance(request, TrainRequest) else None
        return (asked or Search()).direction_of(metric)

    async def registered_models(self, cursor: str | None) -> RegisteredModelPage:
        """A page of MLflow's registered models."""
        try:
            return await self._blocking.mlflow(lambda: self._tracking.registered_models(cursor))
        except MlflowException as error:
            raise no_cursor(cursor) from error

    async def model_versions(self, name: str) -> list[ModelVersionInfo]:
        """The newest versions of a registered model. Raises `UnknownModel`."""
        try:
            return await self._blocking.mlflow(lambda: self._tracking.model_versions(name))
        except MlflowException as error:
            raise UnknownModel(f"MLflow has no registered model {name!r}") from error

    async def published_request(self, run_id: str) -> RunRequest:
        """What was asked for, as everybody may read it, without whom it tells: of their addresses only hosts are kept.

        Raises `UnknownRun` where it is gone.
        """
        file = RunFolder(self._runs_dir / run_id).published_request
        if await self._blocking.run(file.exists):
            text: str | None = await self._blocking.run(file.read_text)
        else:
            text = await self._blocking.mlflow(lambda: self._tracking.submission_json(run_id))
        try:
            request = Submission.model_validate_json(text or "").request
            return request.model_copy(update={"notify": []})
        except ValidationError as error:
            raise UnknownRun(f"the request of run {run_id!r} is kept nowhere any more") from error

    async def request(self, run_id: str) -> RunRequest | None:
        """What was asked for: from the run's folder, or, once that was removed, as MLflow has it; None where both are gone.

        MLflow's lacks what gave access to data at an address with a query or a password.
        """
        folder = RunFolder(self._runs_dir / run_id)
        found = await self._blocking.once_it_can(folder.submission)
        if found is None:
            text = await self._blocking.mlflow(lambda: self._tracking.submission_json(run_id))
            try:
                found = Submission.model_validate_json(text) if text else None
            except ValidationError:
                return None
        return found.request if found else None

    def _newest(self, run: Run) -> Run:
        live = self._known.get(run.run_id)
        return live.run if live else run


def _quoted(value: str) -> str:
    """As MLflow's filters have it, for a value that does not have both kinds of quotes."""
    return f'"{value}"' if "'" in value else f"'{value}'"
