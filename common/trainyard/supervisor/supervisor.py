"""One service instance: takes requests, and knows every run that it has taken."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from trainyard.contract import (
    Caller,
    Capacity,
    Curves,
    DataPreview,
    ModelInfo,
    ModelVersionInfo,
    PreviewRequest,
    Promotion,
    Reason,
    Registered,
    RegisteredModelPage,
    Rollback,
    Run,
    RunPage,
    RunRequest,
    RunStatus,
    TrialPage,
    UsageReport,
)
from trainyard.errors import Unavailable
from trainyard.launcher.host_messages import Offer
from trainyard.launcher.protocol import Launcher
from trainyard.peers.question import Question
from trainyard.people.ledger import Ledger
from trainyard.registry.promotion import Decision
from trainyard.registry.turn import Turn
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import State, Submission
from trainyard.service import Service
from trainyard.settings import Engine, Settings
from trainyard.supervisor.admission import Admission, OrphanWatch, over_quota
from trainyard.supervisor.attempt import save
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.decision import (
    Again,
    Close,
    GoesOn,
    HandBack,
    StopReason,
    ended_by,
)
from trainyard.supervisor.ending import Ending
from trainyard.supervisor.from_settings import (
    forget_checkpoints,
    job_of,
    launcher_of,
    offered,
    tracking_of,
)
from trainyard.supervisor.instance_lock import InstanceLock, instance_uids
from trainyard.supervisor.known_runs import KnownRuns
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.measures import Measures, label_of
from trainyard.supervisor.mlflow_status import MlflowStatus
from trainyard.supervisor.notices import Notices
from trainyard.supervisor.own_machine import peers_of, there
from trainyard.supervisor.promotions import Promotions
from trainyard.supervisor.queries import Queries
from trainyard.supervisor.queue import Queue
from trainyard.supervisor.recovery import Found, Recovery
from trainyard.supervisor.retention import tidy
from trainyard.supervisor.room import Room
from trainyard.supervisor.rooms import Rooms
from trainyard.supervisor.slots import Slots
from trainyard.supervisor.submissions import Submissions
from trainyard.supervisor.traces import Traces
from trainyard.supervisor.yard import Yard
from trainyard.tracking.runs import Tracking

RECOVER_AGAIN_SECONDS = 5.0
OWNER_ALONE = 0o700
"""Requests hold addresses that give access to data, or by which others are told of runs."""
log = structlog.get_logger()


class Supervisor:
    """What `supervisor.protocol.Runs` promises, over one launcher and one MLflow."""

    def __init__(
        self,
        service: Service,
        settings: Settings,
        launcher: Launcher | None = None,
        tracking: Tracking | None = None,
    ) -> None:
        self._settings = settings
        self._instance = settings.instance or service.name
        self._work_dir = settings.work_dir.resolve()
        self._runs_dir = self._work_dir / "runs"
        self._room: Room | Rooms = Room(there(settings))
        if settings.engine is Engine.RAY:
            self._room = Rooms(settings.host_lease_seconds)
        self._launcher = launcher or launcher_of(service, settings, on_offers=self._offered)
        self._tracking = tracking or tracking_of(settings, self._instance)
        self._blocking = Blocking(settings.tracking_uri, self._tracking.answers)
        self._lock = InstanceLock(self._work_dir, self._instance)
        self._background: set[asyncio.Task[Any]] = set()
        self._known = KnownRuns()
        self._measures = Measures()
        self._orphans = OrphanWatch()
        self._yard = self._make_yard()
        self._admission = self._make_admission()
        self._mlflow_status = MlflowStatus(self._tracking, self._blocking, self._spawn)
        self._traces = Traces(self._instance)
        self._notices = Notices(
            settings.notify_key, settings.notify_hosts, self._blocking, self._spawn
        )
        self._ledger = Ledger(self._work_dir / "usage" / self._instance)
        self._ending = self._make_ending()
        self._slots = self._make_slots()
        self._submissions = self._make_submissions()
        self._queries = Queries(self._known, self._tracking, self._blocking, self._runs_dir)
        self._promotions = self._make_promotions()
        self._recovered = self._stopping = False

    def _make_ending(self) -> Ending:
        return Ending(
            known=self._known,
            mlflow_status=self._mlflow_status,
            measures=self._measures,
            notices=self._notices,
            traces=self._traces,
            ledger=self._ledger,
            blocking=self._blocking,
            spawn=self._spawn,
            forget_checkpoints=partial(forget_checkpoints, self._settings),
        )

    def _make_yard(self) -> Yard:
        return Yard(
            self._known,
            service=self._instance,
            slots=lambda: self._room.slots,
            queue_limit=self._settings.queue,
        )

    def _make_admission(self) -> Admission:
        return Admission(
            self._settings,
            self._launcher,
            self._tracking,
            self._blocking,
            runs_dir=self._runs_dir,
            room=self._room,
        )

    def _make_slots(self) -> Slots:
        slots = Slots(
            room=self._room,
            queue=Queue(dict(self._settings.quotas)),
            grace_seconds=self._settings.grace_seconds,
            launcher=self._launcher,
            job_of=partial(job_of, self._settings, self._instance),
            ending=self._ending,
            mlflow_status=self._mlflow_status,
            blocking=self._blocking,
        )
        self._measures.watch(
            queued=lambda: slots.waiting,
            running=lambda: slots.running,
            slots=lambda: slots.slots,
            queue_limit=lambda: self._settings.queue,
        )
        return slots

    def _make_submissions(self) -> Submissions:
        return Submissions(
            queue_limit=self._settings.queue,
            known=self._known,
            slots=self._slots,
            admission=self._admission,
            orphans=self._orphans,
            tracking=self._tracking,
            blocking=self._blocking,
            know=self._accepted,
        )

    def _make_promotions(self) -> Promotions:
        settings = self._settings
        return Promotions(
            self._blocking,
            tracking_uri=settings.tracking_uri,
            locks=settings.locks,
            peers=peers_of(settings, self._instance),
            judge=lambda case: self._launcher.judge(case, settings.data_access),
            request_of=self._queries.request,
            tell=lambda run: self._notices.promoted(RunFolder(self._runs_dir / run.run_id), run),
            spawn=self._spawn,
        )

    # The service's own life

    async def start(self) -> None:
        """Take the work directory, get warm, and take up the runs that an earlier process left."""
        self._runs_dir.parent.mkdir(parents=True, exist_ok=True)
        self._runs_dir.mkdir(mode=OWNER_ALONE, exist_ok=True)
        self._lock.take()
        uids = instance_uids(self._work_dir / f"{self._instance}.uid")
        self._tracking.uid = uids[0]
        await self._launcher.start()
        self._spawn(self._recover(uids))
        self._spawn(self._orphans.run(self._admission, uids[0], self._known))
        settings = self._settings
        self._spawn(
            tidy(
                self._runs_dir,
                settings.rows_dir,
                self._blocking,
                keep_days=settings.keep_work_days,
            )
        )

    async def stop(self) -> None:
        """Interrupt what trains and leave it to be taken up again."""
        self._stopping = True
        await self._slots.stop()
        await self._notices.last_words()
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._launcher.stop()
        await self._notices.close()
        await self._traces.close(self._blocking)
        await self._blocking.close()
        self._lock.release()

    async def problems(self) -> dict[str, str]:
        """Each part that is not ready, and what is wrong with it."""
        problems = {}
        if not await self._blocking.mlflow_answers():
            problems["mlflow"] = f"{self._settings.tracking_uri} does not answer"
        if not self._launcher.warm():
            problems["fork_server"] = "still importing the framework"
        if not self._recovered:
            waits_for = self._blocking.waits_for and f": {self._blocking.waits_for}"
            problems["recovery"] = f"taking up the runs that an earlier process left{waits_for}"
        if lacking := self._admission.lacks_room():
            problems["disk"] = lacking
        return problems

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """The models by name; empty until the fork server is warm."""
        return self._launcher.models

    @property
    def broken_models(self) -> Mapping[str, str]:
        """Model files that did not load, and why."""
        return self._launcher.broken

    @property
    def registry(self) -> CollectorRegistry:
        """What is counted and timed, for Prometheus."""
        return self._measures.registry

    def capacity(self) -> Capacity:
        """What there is, who has it, and who waits for it."""
        return self._slots.capacity(self._instance)

    async def usage(self, month: str | None = None) -> UsageReport:
        """What each team used in each month. Raises `Unavailable`."""
        try:
            rows = await self._blocking.run(lambda: self._ledger.report(month))
        except OSError as error:
            raise Unavailable(f"what runs used cannot be read: {error}") from error
        return UsageReport(service=self._instance, usage=rows)

    # Runs

    async def submit(
        self, request: RunRequest, key: str | None, by: Caller | None = None
    ) -> tuple[Run, bool]:
        """The run for the request, and whether it was newly accepted. Raises `RequestError`."""
        if self._stopping:
            raise Unavailable("the service is stopping")
        self._check_recovered()
        return await self._submissions.submit(request, key, by)

    async def preview(self, request: PreviewRequest) -> DataPreview:
        """What the first rows of the data show. Raises `Invalid` or `Unavailable`."""
        return await self._admission.preview(request)

    def _check_recovered(self) -> None:
        if not self._recovered:
            uri = self._settings.tracking_uri
            message = f"the service still asks MLflow at {uri} what earlier runs became"
            raise Unavailable(message)

    async def cancel(self, run_id: str, by: Caller | None = None) -> tuple[Run, bool]:
        """The run, and whether it was under way when it was asked to stop."""
        live = self._known.get(run_id)
        if live is None:
            return await self.get(run_id), False
        if live.run.status.ended:
            return live.run, False
        if live.may_train_its_best:
            await self._end_search(live)
            return live.run, True
        live.cancelled_by = live.cancelled_by or by
        live.ask_to_stop(StopReason.CANCELLED)
        leaving = self._slots.leave(live) if self._slots.take_out(live) else None
        await self._note_cancelled(live)
        if leaving:
            await asyncio.shield(leaving)
        return live.run, True

    async def _end_search(self, live: LiveRun) -> None:
        try:
            await self._blocking.run(live.folder.end_of_search.touch)
        except OSError as error:
            raise Unavailable(f"the end of the search cannot be noted: {error}") from error

    async def _note_cancelled(self, live: LiveRun) -> None:
        """Before the answer: a later service is to find it. Where the disk takes no note, this service knows alone."""
        try:
            await self._blocking.run(lambda: live.folder.note_cancelled(live.cancelled_by))
        except OSError:
            log.exception("that a run was cancelled cannot be noted", run_id=live.run_id)

    async def get(self, run_id: str) -> Run:
        """The run as it stands. Raises `UnknownRun` or `Unavailable`."""
        if run_id not in self._known:
            self._check_recovered()
        return await self._queries.get(run_id)

    async def wait(self, run_id: str, seconds: float, since: int | None) -> Run:
        """The run once it ended, or once its version passed `since`, or after `seconds`."""
        if run_id not in self._known:
            self._check_recovered()
        return await self._queries.wait(run_id, seconds, since)

    def live_json(self, run_id: str) -> bytes | None:
        """A live or recent run as JSON; None where only `get` can tell."""
        return self._queries.live_json(run_id)

    async def yard(self, seconds: float, since: int | None) -> bytes:
        """All that is in hand, as JSON, once it changed."""
        return await self._yard.wait(seconds, since)

    async def curves(self, run_id: str) -> Curves:
        """What the run measured so far, round by round. Raises `UnknownRun` or `Unavailable`."""
        return await self._queries.curves(await self.get(run_id))

    async def trials(self, run_id: str, *, limit: int, cursor: str | None) -> TrialPage:
        """A page of the trials of the run's search, the best first. Raises `UnknownRun`, `Invalid` or `Unavailable`."""
        return await self._queries.trials(await self.get(run_id), limit=limit, cursor=cursor)

    async def request(self, run_id: str) -> RunRequest:
        """What was asked for, without what gives access to its data. Raises `UnknownRun` where it is gone."""
        await self.get(run_id)
        return await self._queries.published_request(run_id)

    async def registered_models(self, cursor: str | None) -> RegisteredModelPage:
        """The registered models, by name. Raises `Invalid` for a cursor that was never given out."""
        return await self._queries.registered_models(cursor)

    async def model_versions(self, name: str) -> list[ModelVersionInfo]:
        """The newest versions of the registered model. Raises `UnknownModel`."""
        return await self._queries.model_versions(name)

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
        return await self._queries.page(
            status=status, model=model, experiment=experiment, limit=limit, cursor=cursor
        )

    async def promote(self, run_id: str, word: Promotion) -> Registered:
        """The run's version, and what became of it now. Raises `CannotPromote` and `ChampionChanged`."""
        return await self._promotions.promote(await self.get(run_id), word)

    async def rollback(self, name: str, word: Rollback) -> Registered:
        """The version of the registered model that has the alias back. Raises `CannotPromote`."""
        return await self._promotions.rollback(name, word)

    async def decide(self, turn: Turn) -> Decision:
        """The decision about another service's version. Raises `CannotPromote` and `ChampionChanged`."""
        return await self._promotions.decide(turn)

    async def predict(self, question: Question, path: Path) -> str:
        """Another service's rows, predicted into the file `path`; their digest. Raises `CannotPredict` and `Unavailable`."""
        return await self._launcher.predict(question, self._settings.data_access, path)

    def log_path(self, run_id: str) -> Path | None:
        """The local training.log, if there is one."""
        return self._queries.log_path(run_id)

    async def log_text(self, run_id: str) -> str:
        """An ended run's log, read from MLflow."""
        return await self._queries.log_text(run_id)

    # What goes on in the background

    async def _recover(self, uids: tuple[str, ...]) -> None:
        to_queue: list[LiveRun] = []
        await _until_done(lambda: self._notices.take_up(self._runs_dir))
        await _until_done(lambda: self._take_up(uids, to_queue))
        self._recovered = True
        self._orphans.look()  # for a call of an earlier service that reaches MLflow only now
        for live in to_queue:
            self._slots.put(live)
        self._launcher.end_strays()

    async def _take_up(self, uids: tuple[str, ...], to_queue: list[LiveRun]) -> None:
        """Take up what an earlier process left. Where it breaks off, what was taken up stays so."""
        recovery = Recovery(
            self._runs_dir, self._tracking, self._launcher, self._blocking, self._known
        )
        for found in await recovery.look():
            live = await self._taken_up(found)
            if live:
                to_queue.append(live)
        await recovery.give_up_the_homeless(uids)

    def _offered(self, offers: Mapping[str, Offer], others: Mapping[str, Offer]) -> None:
        """What hosts have that joined the service, and what those have that are given no runs for now."""
        if isinstance(self._room, Rooms):
            self._room.offered(
                {node: offered(offer) for node, offer in offers.items()},
                {node: offered(offer)[1] for node, offer in others.items()},
            )
            self._slots.room_changed()
            self._yard.touch()

    async def _taken_up(self, found: Found) -> LiveRun | None:
        """The run, if it is to be queued; else it is ended here."""
        live = self._know(found.submission, found.state)
        if found.cancelled:
            live.cancelled_by = found.cancelled.by
            live.ask_to_stop(StopReason.CANCELLED)
        decision = self._if_it_fits(found)
        if isinstance(decision, GoesOn):
            if found.state.held:
                self._slots.go_on(live, found.state.held)
            return None
        if isinstance(decision, Close):
            live.end(decision.outcome)  # at once: callers of the earlier service have seen it
            await self._ending.end(live, decision.outcome, told=found.told)
            return None
        if not isinstance(decision, HandBack):
            live.again(decision)
        try:
            await save(live, self._blocking)
            await self._blocking.run(found.folder.forget_outcome)
        except Exception:
            log.exception("a run's state cannot be written", run_id=live.run_id)
        return live

    def _if_it_fits(self, found: Found) -> Close | Again | GoesOn:
        """A run that needs more than there is since the restart would wait for ever; hosts may yet join."""
        request, team = found.submission.request, found.submission.team
        unfit = over_quota(request, team, dict(self._settings.quotas))
        if not isinstance(self._room, Rooms):
            unfit = (*unfit, *self._room.never_fits(request.resources))
        if isinstance(found.decision, Close | GoesOn) or not unfit:
            return found.decision
        said = "; ".join(f"{each.pointer}: {each.detail}" for each in unfit)
        return Close(
            ended_by(Reason.SERVICE_RESTARTED, f"the service has less than before: {said}")
        )

    def _accepted(self, submission: Submission, state: State) -> LiveRun:
        """A run that was just made in MLflow."""
        self._mlflow_status.made(submission.run_id)
        self._measures.accepted(label_of(submission.request))
        return self._know(submission, state)

    def _know(self, submission: Submission, state: State) -> LiveRun:
        live = LiveRun(
            submission,
            RunFolder(self._runs_dir / submission.run_id),
            state,
            service=self._instance,
            link=self._tracking.link(submission.experiment_id, submission.run_id),
            on_status=self._mlflow_status.tell,
        )
        live.on_change = self._yard.touch
        self._known.add(live)
        self._notices.watch(live)
        self._yard.touch()
        return live

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("work in the background broke off", exc_info=error)


async def _until_done(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do a part of the recovery, as often as it takes: without it the service takes nothing."""
    while True:
        try:
            return await work()
        except Exception:
            log.exception("earlier runs cannot be taken up; tried again")
            await asyncio.sleep(RECOVER_AGAIN_SECONDS)
