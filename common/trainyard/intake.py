"""What stands between a request and a run: everything that can be known at submit, and the record of it."""

import asyncio
import difflib
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path

from mlflow.exceptions import MlflowException

from trainyard import datasets
from trainyard.contract import RunStatus, TrainRequest
from trainyard.errors import Invalid, InvalidData, Unavailable
from trainyard.folder import RunFolder, Submission
from trainyard.launcher import Launcher
from trainyard.settings import Settings
from trainyard.submissions import digest_of, tags_of
from trainyard.threads import Threads
from trainyard.tracking import Tracking


class Intake:
    """Checks requests, and records the ones that are taken: in MLflow first, then on disk."""

    def __init__(self, settings: Settings, launcher: Launcher, tracking: Tracking, threads: Threads, runs_dir: Path) -> None:
        self._settings = settings
        self._launcher = launcher
        self._tracking = tracking
        self._threads = threads
        self._runs_dir = runs_dir
        self._discarding: set[asyncio.Task[None]] = set()

    async def check(self, request: TrainRequest) -> None:
        """Raise `Invalid` with every bad field, or `Unavailable`."""
        models = self._launcher.models
        if not models and not self._launcher.warm():
            raise Unavailable("the fork server is still importing the framework")
        if request.model not in models:
            near = difflib.get_close_matches(request.model, models, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"this service trains {', '.join(models)}"
            raise Invalid.field("/model", f"{request.model!r} is unknown; {hint}")
        model = models[request.model]
        errors = await self._launcher.validate(request.model, request.params)
        try:
            await self._threads.run(lambda: datasets.inspect(
                request.data, task=model.task, kinds=model.data, access=self._settings.data_access, split=request.split,
            ))
        except InvalidData as error:
            errors = [*errors, *Invalid.field(error.pointer, error.detail).errors]
        if errors:
            raise Invalid("; ".join(f"{each.pointer}: {each.detail}" for each in errors), errors)
        if self.disk_full():
            raise Unavailable("the work volume is full")

    async def record(self, request: TrainRequest, key: str | None, *, attempt: int, waits: bool) -> Submission:
        """Make the MLflow run and its folder; where that breaks off, nothing of it stays."""
        tag = uuid.uuid4().hex
        try:
            return await self._record(request, key, attempt=attempt, waits=waits, tag=tag)
        except BaseException:
            task = asyncio.create_task(self._threads.until_mlflow_answers(lambda: self._tracking.discard(tag)))
            self._discarding.add(task)
            task.add_done_callback(self._discarding.discard)
            raise

    def disk_full(self) -> bool:
        """Whether the work volume has less room than a run may need."""
        return shutil.disk_usage(self._runs_dir).free < self._settings.min_free_disk_mb * 1_000_000

    async def _record(self, request: TrainRequest, key: str | None, *, attempt: int, waits: bool, tag: str) -> Submission:
        digest = digest_of(request)
        tags = {**tags_of(request, key, digest, attempt), "trainyard.submission": tag}
        try:
            experiment_id = await self._threads.mlflow(lambda: self._tracking.experiment_id(request.experiment))
            made = await self._threads.mlflow(
                lambda: self._tracking.create(experiment_id=experiment_id, run_name=request.run_name, tags=tags)
            )
            if waits:
                await self._threads.mlflow(lambda: self._tracking.set_status(made.info.run_id, RunStatus.SCHEDULED))
        except MlflowException as error:
            self._tracking.forget_experiments()
            raise Invalid.field("/experiment", f"MLflow refuses: {error}") from error
        submission = Submission(
            run_id=made.info.run_id, request=request, key=key, digest=digest, attempt=attempt, experiment_id=experiment_id,
            run_name=made.info.run_name, artifact_uri=made.info.artifact_uri, submitted_at=datetime.now(UTC),
        )
        await self._threads.run(lambda: RunFolder(self._runs_dir / submission.run_id).create(submission))
        return submission
