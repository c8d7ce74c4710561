"""The queue, the slots, the life of every run of one service instance."""

import asyncio
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from mlflow.exceptions import MlflowException

from trainyard.attempts import attempt
from trainyard.contract import (
    ModelInfo,
    OnExisting,
    OnOutOfMemory,
    Reason,
    Run,
    RunPage,
    RunStatus,
    TrainRequest,
)
from trainyard.errors import Invalid, KeyReused, QueueFull, Unavailable, UnknownRun
from trainyard.folder import Outcome, RunFolder, Submission
from trainyard.intake import Intake
from trainyard.launcher import ForkLauncher, Launcher
from trainyard.live import LiveRun
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.submissions import Keys, digest_of, key_digest
from trainyard.sweep import Lock, Sweep, prune
from trainyard.threads import Threads
from trainyard.tracking import Tracking

RECENT = 1000
ANNOUNCE_SECONDS = 2.0
TIDY_SECONDS = 3600.0
HALVINGS = 3
OUT_OF_MEMORY = frozenset({Reason.OUT_OF_MEMORY, Reason.GPU_OUT_OF_MEMORY})
log = structlog.get_logger()


class Supervisor:
    """Takes requests, trains them one process each in its slots, and closes their MLflow runs."""

    def __init__(self, service: Service, settings: Settings, launcher: Launcher | None = None) -> None:
        self._settings = settings
        self._instance = settings.instance or service.name
        self._runs_dir = settings.work_dir.resolve() / "runs"
        self._launcher = launcher or ForkLauncher(
            service.package, settings.models_path, threads=settings.threads_a_slot, tracking_uri=settings.tracking_uri
        )
        self._tracking = Tracking(
            uri=settings.tracking_uri, ui_url=settings.mlflow_ui_url or settings.tracking_uri, instance=self._instance,
        )
        self._threads = Threads(settings.tracking_uri)
        self._intake = Intake(settings, self._launcher, self._tracking, self._threads, self._runs_dir)
        self._lock = Lock(settings.work_dir.resolve() / f"{self._instance}.lock")
        self._live: OrderedDict[str, LiveRun] = OrderedDict()
        self._queue: deque[LiveRun] = deque()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._keys = Keys()
        self._key_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._background: set[asyncio.Task[Any]] = set()
        self._ended: Counter[str] = Counter()
        self._admitting = 0
        self._swept = False
        self._stopping = False

    # What callers ask

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """The models by name; empty until the fork server is warm."""
        return self._launcher.models

    @property
    def broken_models(self) -> Mapping[str, str]:
        """Model files that did not load, and why."""
        return self._launcher.broken

    async def submit(self, request: TrainRequest, key: str | None) -> tuple[Run, bool]:
        """The run for the request, and whether it was newly accepted. Raises `RequestError`."""
        if self._stopping:
            raise Unavailable("the service is stopping")
        if not self._swept:
            raise Unavailable(f"the service still asks MLflow at {self._settings.tracking_uri} what earlier runs became")
        if key is None:
            return await self._accept(request, None, attempt=1), True
        async with self._key_locks[key]:
            found = await self._existing(key)
            if found is None:
                return await self._accept(request, key, attempt=1), True
            run, digest = found
            if digest != digest_of(request):
                message = f"Idempotency-Key {key!r} belongs to run {run.run_id}, which was asked for with another body"
                raise KeyReused(message)
            if _attaches(request.on_existing, run.status):
                return run, False
            return await self._accept(request, key, attempt=run.attempt + 1), True

    async def get(self, run_id: str) -> Run:
        """The run as it stands. Raises `UnknownRun` or `Unavailable`."""
        if run_id in self._live:
            return self._live[run_id].run
        try:
            run = await self._threads.mlflow(lambda: self._tracking.read(run_id))
        except MlflowException as error:
            raise UnknownRun(f"this service has no run {run_id!r}") from error
        if run is None:
            raise UnknownRun(f"this service has no run {run_id!r}")
        return run

    async def wait(self, run_id: str, seconds: float, since: int | None) -> Run:
        """The run once it ended, or once its version passed `since`, or after `seconds`."""
        if run_id in self._live:
            return await self._live[run_id].wait(seconds, since)
        return await self.get(run_id)

    def live_json(self, run_id: str) -> bytes | None:
        """A live or recent run as JSON; None where only `get` can tell."""
        live = self._live.get(run_id)
        return live.json() if live else None

    async def page(
        self, *, status: RunStatus | None, model: str | None, experiment: str | None, limit: int, cursor: str | None
    ) -> RunPage:
        """Runs, newest first. Raises `Invalid` for a cursor that was never given out."""
        if "'" in f"{model}{experiment}":
            return RunPage(runs=[])
        conditions = [
            f"attributes.status = '{status}'" if status else "",
            f"tags.`trainyard.model` = '{model}'" if model else "",
            f"tags.`trainyard.experiment` = '{experiment}'" if experiment else "",
        ]
        condition = " and ".join(filter(None, conditions))
        try:
            page = await self._threads.mlflow(lambda: self._tracking.search(condition, limit=limit, cursor=cursor))
        except MlflowException as error:
            raise Invalid.field("/query/cursor", f"{cursor!r} is no cursor that this service gave out") from error
        return RunPage(runs=[self._live[run.run_id].run if run.run_id in self._live else run for run in page.runs], cursor=page.cursor)

    async def cancel(self, run_id: str) -> tuple[Run, bool]:
        """The run, and whether it was under way when it was asked to stop."""
        live = self._live.get(run_id)
        if live is None:
            return await self.get(run_id), False
        if live.run.status.ended:
            return live.run, False
        live.stop(Reason.CANCELLED)
        if live in self._queue:
            self._queue.remove(live)
            self._renumber()
            outcome = Outcome(status=RunStatus.KILLED, reason=Reason.CANCELLED, message="cancelled while it waited", ended_at=datetime.now(UTC))
            await self._close(live, outcome)
        return live.run, True

    def log_path(self, run_id: str) -> Path | None:
        """The local training.log, if there is one."""
        path = RunFolder(self._runs_dir / run_id).log
        return path if path.exists() else None

    async def log_text(self, run_id: str) -> str:
        """An ended run's log, read from MLflow."""
        try:
            return await self._threads.mlflow(lambda: self._tracking.log_text(run_id))
        except MlflowException as error:
            raise UnknownRun(f"run {run_id!r} left no log") from error

    async def problems(self) -> dict[str, str]:
        """Each part that is not ready, and what is wrong with it."""
        problems = {}
        if not await self._threads.run(self._tracking.answers):
            problems["mlflow"] = f"{self._settings.tracking_uri} does not answer"
        if not self._launcher.warm():
            problems["fork_server"] = "still importing the framework"
        if not self._swept:
            problems["sweep"] = "taking up the runs that an earlier process left"
        if self._intake.disk_full():
            problems["disk"] = f"less than {self._settings.min_free_disk_mb} MB free below {self._settings.work_dir}"
        return problems

    def statistics(self) -> dict[str, float]:
        """Gauges, and counters whose names end in `_total`, with labels in braces."""
        ended = {f'runs_ended_total{{status="{status}"}}': float(self._ended[status]) for status in RunStatus if status.ended}
        return {
            "runs_queued": len(self._queue), "runs_running": len(self._running), "slots": self._settings.slots,
            "queue_limit": self._settings.queue, **ended,
        }

    # Life

    async def start(self) -> None:
        """Take the work directory, get warm, and take up the runs that an earlier process left."""
        self._runs_dir.mkdir(parents=True, exist_ok=True)
        self._lock.take()
        await self._launcher.start()
        self._spawn(self._sweep())
        self._spawn(self._tidy())

    async def stop(self) -> None:
        """Interrupt what trains and leave it to be taken up again."""
        self._stopping = True
        for run_id in self._running:
            self._live[run_id].stop_asked.set()
        if self._running:
            await asyncio.wait(self._running.values())
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._launcher.stop()
        self._threads.close()
        self._lock.release()

    async def _sweep(self) -> None:
        sweep = Sweep(self._runs_dir, self._tracking)
        found = await self._threads.until_mlflow_answers(sweep.look)
        for submission in found.ended:
            self._keys.note(submission)
        for folder, submission, outcome in found.to_close:
            await self._close(self._know(submission, folder), outcome)
        for folder, submission in found.to_queue:
            self._queue.append(self._know(submission, folder))
        self._swept = True
        self._dispatch()

    async def _accept(self, request: TrainRequest, key: str | None, *, attempt: int) -> Run:
        await self._intake.check(request)
        if len(self._queue) + self._admitting >= self._settings.queue + max(0, self._settings.slots - len(self._running)):
            message = f"{len(self._queue)} runs wait already, which is as many as TRAINYARD_QUEUE allows"
            raise QueueFull(message)
        self._admitting += 1
        try:
            submission = await self._intake.record(
                request, key, attempt=attempt, waits=bool(self._queue) or len(self._running) >= self._settings.slots
            )
        finally:
            self._admitting -= 1
        live = self._know(submission, RunFolder(self._runs_dir / submission.run_id))
        accepted = live.run
        self._queue.append(live)
        self._dispatch()
        return accepted if live.run.queue_position is None else live.run

    async def _existing(self, key: str) -> tuple[Run, str] | None:
        known = self._keys.newest(key)
        if known is None:
            page = await self._threads.mlflow(lambda: self._tracking.search(f"tags.`trainyard.key_digest` = '{key_digest(key)}'", limit=20))
            # One that has not ended would be known: it was made for a submit that was refused, and is about to be discarded.
            ended = [run for run in page.runs if run.status.ended]
            if not ended:
                return None
            return ended[0], await self._threads.mlflow(lambda: self._tracking.digest(ended[0].run_id))
        return await self.get(known.run_id), known.digest

    def _know(self, submission: Submission, folder: RunFolder) -> LiveRun:
        link = self._tracking.link(submission.experiment_id, submission.run_id)
        self._keys.note(submission)
        live = self._live[submission.run_id] = LiveRun(submission, folder, service=self._instance, link=link)
        for run_id in [run_id for run_id, each in self._live.items() if each.run.status.ended][:-RECENT]:
            del self._live[run_id]
        return live

    def _dispatch(self) -> None:
        while self._queue and len(self._running) < self._settings.slots and not self._stopping:
            live = self._queue.popleft()
            task = self._running[live.run_id] = asyncio.create_task(self._train(live))
            task.add_done_callback(partial(self._free, live.run_id))
        self._renumber()

    def _free(self, run_id: str, task: asyncio.Task[None]) -> None:
        del self._running[run_id]
        if not task.cancelled() and task.exception():
            log.error("the life of a run broke", run_id=run_id, exc_info=task.exception())
        self._dispatch()

    def _renumber(self) -> None:
        for position, live in enumerate(self._queue, start=1):
            if live.run.queue_position != position:
                live.update(queue_position=position)

    async def _train(self, live: LiveRun) -> None:
        live.update(queue_position=None)
        running = self._spawn(self._say_running(live))
        while True:
            live.state.starts += 1
            live.update(attempt=live.submission.attempt + live.state.starts - 1)
            live.save()
            outcome = await attempt(live, launcher=self._launcher, job=self._job(live), grace_seconds=self._settings.grace_seconds)
            if outcome is None:
                await self._hand_back(live)
                return
            how = self._again(live, outcome)
            if how is None or live.stop_asked.is_set():
                break
            live.enter(RunStatus.SCHEDULED, message=f"{outcome.reason}: {outcome.message}; {how}")
        await asyncio.wait({running})
        await self._close(live, outcome)

    def _again(self, live: LiveRun, outcome: Outcome) -> str | None:
        """How the run is to be tried again, in words; None where it is not. Halving the batch is no attempt of its own."""
        request, state = live.submission.request, live.state
        if outcome.reason in OUT_OF_MEMORY and request.on_out_of_memory is OnOutOfMemory.HALVE_BATCH:
            batch_size = request.params.get("batch_size", self.models[request.model].defaults.get("batch_size", 1)) >> state.halvings + 1
            if batch_size and state.halvings < HALVINGS:
                state.halvings += 1
                state.starts -= 1
                return f"going on with batch_size {batch_size}"
        again = outcome.reason is not None and outcome.reason.retryable and state.starts < request.max_attempts
        return "trying again" if again else None

    async def _hand_back(self, live: LiveRun) -> None:
        """The service stops: the run waits for the next one, and this start does not count."""
        live.state.starts -= 1
        live.enter(RunStatus.SCHEDULED, message="handed back: the service stopped")
        live.save()
        with suppress(Unavailable, MlflowException):
            await self._threads.mlflow(lambda: self._tracking.set_status(live.run_id, RunStatus.SCHEDULED))

    async def _say_running(self, live: LiveRun) -> None:
        with suppress(Unavailable, MlflowException):
            await self._threads.mlflow(lambda: self._tracking.set_status(live.run_id, RunStatus.RUNNING))

    async def _close(self, live: LiveRun, outcome: Outcome) -> None:
        """Write the end to MLflow, and tell who waits once MLflow knows or does not answer."""
        live.folder.write_outcome(outcome)
        ended = live.as_ended(outcome)
        files = () if outcome.log_uploaded else (live.folder.request, live.folder.log)
        closing = self._spawn(self._threads.until_mlflow_answers(lambda: self._tracking.close(ended, outcome, files=files)))
        closing.add_done_callback(partial(self._closed, live))
        await asyncio.wait({closing}, timeout=ANNOUNCE_SECONDS)
        live.end(ended)
        self._ended[ended.status] += 1

    def _closed(self, live: LiveRun, closing: asyncio.Task[None]) -> None:
        if closing.cancelled():
            return
        if closing.exception():
            log.error("MLflow refuses the end of a run", run_id=live.run_id, exc_info=closing.exception())
        live.folder.close()

    async def _tidy(self) -> None:
        """Now and every hour: remove work directories that are past their time."""
        while True:
            await self._threads.run(lambda: prune(self._runs_dir, keep_days=self._settings.keep_work_days))
            await asyncio.sleep(TIDY_SECONDS)

    def _job(self, live: LiveRun) -> dict[str, Any]:
        settings, access = self._settings, self._settings.data_access
        return {
            "folder": str(live.folder.path), "model": live.submission.request.model, "service": self._instance,
            "tracking_uri": settings.tracking_uri, "threads": settings.threads_a_slot,
            "roots": [str(root) for root in access.roots], "data_dir": str(access.data_dir),
            "http_hosts": list(access.http_hosts), "s3_endpoint": access.s3_endpoint,
            "locks": str(settings.work_dir.resolve() / "locks"), "patience_seconds": settings.tracking_patience_seconds,
            "git_commit": settings.git_commit, "halvings": live.state.halvings,
        }

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def _attaches(choice: OnExisting, status: RunStatus) -> bool:
    if choice is OnExisting.ATTACH or not status.ended:
        return True
    return choice is OnExisting.RERUN_FAILED and status is RunStatus.FINISHED

