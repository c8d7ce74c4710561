"""What stands between a request and a run: everything that can be known at submit, and the record of it."""

import asyncio
import uuid
from collections.abc import Container, Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog
from mlflow.exceptions import MlflowException

from trainyard.contract import (
    BestOf,
    BuiltinData,
    Caller,
    DataPreview,
    DataVersion,
    FieldError,
    ImageData,
    PreviewRequest,
    Run,
    RunKind,
    RunRequest,
    ScoreRequest,
    at_version,
)
from trainyard.disk_space import lacks_room
from trainyard.errors import Invalid, Unavailable
from trainyard.field_errors import invalid
from trainyard.launcher.protocol import Launcher
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Submission
from trainyard.settings import Settings
from trainyard.suggestions import suggestion
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.from_settings import access_of
from trainyard.supervisor.idempotency import tags_of
from trainyard.supervisor.notices import check_hosts
from trainyard.supervisor.room import Room
from trainyard.supervisor.rooms import Rooms
from trainyard.supervisor.traces import traceparent
from trainyard.tracking.runs import SUBMISSION, Tracking

LATE_ANSWER_SECONDS = 30.0
"""MLflow may make a run after we gave up waiting for its answer; longer than the HTTP time-out."""
log = structlog.get_logger()


class Admission:
    """Checks requests, and records the ones that are accepted: in MLflow first, then on disk."""

    def __init__(  # noqa: PLR0913 - what a request is checked against, and recorded in
        self,
        settings: Settings,
        launcher: Launcher,
        tracking: Tracking,
        blocking: Blocking,
        *,
        runs_dir: Path,
        room: Room | Rooms,
    ) -> None:
        self._settings = settings
        self._launcher = launcher
        self._tracking = tracking
        self._blocking = blocking
        self._runs_dir = runs_dir
        self._room = room
        self._recording: set[str] = set()

    async def resolved(self, request: RunRequest, earlier: Run | None) -> RunRequest:
        """The request with what it leaves open said: which version is scored, which rows test, what is tried first.

        With an `earlier` run of the same Idempotency-Key the model, and the version of the data, are those of that run.
        Raises `Invalid` for a model or a search that MLflow does not have, or `Unavailable`.
        """
        if earlier is not None:
            request = _pinned(request, earlier.data_version)
        if isinstance(request, ScoreRequest):
            if earlier is not None:
                request = request.model_copy(update={"model_uri": earlier.model})
        elif request.search is None or not isinstance(request.search.warm_start, BestOf):
            return request
        known = self._launcher.models.get(request.model)
        task = known.task if known else None
        return await self._blocking.mlflow(lambda: self._tracking.resolved(request, task))

    async def check(self, request: RunRequest, by: Caller | None = None) -> RunRequest:
        """The request with the version of its data that counts now. Raises `Invalid` with every bad field, or `Unavailable`."""
        models = self._launcher.models
        if not models and not self._launcher.warm():
            raise Unavailable("the fork server is still importing the framework")
        if request.kind is RunKind.TRAIN and request.model not in models:
            hint = suggestion(request.model, models, otherwise="this service trains")
            raise Invalid.field("/model", f"{request.model!r} is unknown; {hint}")
        check_hosts(request.notify, self._settings.notify_hosts)
        if self.lacks_room():
            raise Unavailable("the work volume is full")
        quotas = dict(self._settings.quotas)
        over = over_quota(request, by.team if by else None, quotas)
        unfit = (*self._room.never_fits(request.resources), *over)
        found = await self._launcher.check(request, access_of(self._settings, request))
        if unfit or found.errors:
            raise invalid((*unfit, *found.errors), found.more)
        return _pinned(request, found.data_version)

    async def preview(self, request: PreviewRequest) -> DataPreview:
        """What the first rows of the data show. Raises `Invalid` with every bad field, or `Unavailable`."""
        found = await self._launcher.check(request, self._settings.data_access)
        if found.errors or found.preview is None:
            raise invalid(found.errors, found.more)
        return found.preview

    async def record(
        self,
        request: RunRequest,
        key: str | None,
        *,
        digest: str,
        attempt: int,
        by: Caller | None = None,
    ) -> Submission:
        """Make the MLflow run and its folder. Where it raises, `discard_orphans` removes what there is of it."""
        tag = uuid.uuid4().hex
        self._recording.add(tag)
        try:
            tags = {**tags_of(request, key, digest, attempt, by), SUBMISSION: tag}
            return await self._record(
                request, key, digest=digest, attempt=attempt, by=by, tags=tags
            )
        except OSError as error:
            raise Unavailable(f"the run's folder cannot be written: {error}") from error
        finally:
            self._recording.discard(tag)

    async def discard_orphans(self, uid: str, known: Container[str]) -> None:
        """Delete the runs that MLflow made for submits that were refused: its answer may have been lost."""
        found = await self._blocking.until_mlflow_answers(lambda: self._tracking.unended((uid,)))
        for each in found:
            run_id = each.run.run_id
            if each.submission is None or each.begun:
                continue
            if each.submission in self._recording or run_id in known:
                continue
            try:
                await self._blocking.until_mlflow_answers(
                    lambda run_id=run_id: self._tracking.discard(run_id)  # type: ignore[misc]
                )
            except MlflowException:
                log.exception("MLflow keeps a run that was not accepted", run_id=run_id)

    def lacks_room(self) -> str:
        """Whether, and how, the work volume has less room than a run may need."""
        return lacks_room(self._runs_dir.parent, self._settings.min_free_disk_mb)

    async def _record(  # noqa: PLR0913 - what a submission is made of, each by name
        self,
        request: RunRequest,
        key: str | None,
        *,
        digest: str,
        attempt: int,
        by: Caller | None,
        tags: dict[str, str],
    ) -> Submission:
        try:
            experiment_id = await self._blocking.mlflow(
                lambda: self._tracking.experiment_id(request.experiment)
            )
            made = await self._blocking.mlflow(
                lambda: self._tracking.create(
                    experiment_id=experiment_id, run_name=request.run_name, tags=tags
                )
            )
        except MlflowException as error:
            self._tracking.forget_experiments()
            raise Invalid.field("/experiment", f"MLflow refuses: {error}") from error
        submission = Submission(
            run_id=made.info.run_id,
            request=request,
            key=key,
            digest=digest,
            attempt=attempt,
            experiment_id=experiment_id,
            run_name=made.info.run_name,
            artifact_uri=made.info.artifact_uri,
            submitted_at=datetime.now(UTC),
            submitted_by=by.name if by else None,
            team=by.team if by else None,
            traceparent=traceparent(),
        )
        folder = RunFolder(self._runs_dir / submission.run_id)
        await self._blocking.run(lambda: folder.create(submission))
        return submission

    def batch_size(self, request: RunRequest) -> int | None:
        """The rows of a batch that the request asks for, or the model's default; None for a model without batches."""
        if isinstance(request, ScoreRequest):
            return None
        size = request.params.get("batch_size")
        if size is None and request.model in self._launcher.models:
            size = self._launcher.models[request.model].defaults.get("batch_size")
        return size if isinstance(size, int) else None


def _pinned(request: RunRequest, version: DataVersion | None) -> RunRequest:
    """The request for this version of its data, where that has versions."""
    if version is None or isinstance(request.data, BuiltinData | ImageData):
        return request
    return request.model_copy(update={"data": at_version(request.data, version)})


def over_quota(
    request: RunRequest, team: str | None, quotas: Mapping[str, int]
) -> tuple[FieldError, ...]:
    """What is wrong with a run that has more workers than its team may have slots: it would wait for ever."""
    quota = quotas.get(team) if team else None
    if quota is None or request.workers <= quota or request.workers == 1:
        return ()
    detail = f"{request.workers} workers asked for, and the team {team} may have {quota} slots (TRAINYARD_QUOTAS); ask for {quota} at most"
    return (FieldError(pointer="/resources/workers", detail=detail),)


class OrphanWatch:
    """Has orphans looked for after a submit was refused: one task, however many were."""

    def __init__(self, *, late_seconds: float = LATE_ANSWER_SECONDS) -> None:
        self._late_seconds = late_seconds
        self._asked = asyncio.Event()

    def look(self) -> None:
        """A run may have been made that nobody knows."""
        self._asked.set()

    async def run(self, admission: Admission, uid: str, known: Container[str]) -> None:
        """Look when asked, and once more when no answer of MLflow can be late any more."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await admission.discard_orphans(uid, known)
            await asyncio.sleep(self._late_seconds)
            await admission.discard_orphans(uid, known)
