"""A supervisor in memory: for tests of what stands before it, with the clock in the test's hands."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Gauge

from trainyard.contract import (
    Amount,
    Caller,
    Capacity,
    Curves,
    DataPreview,
    Links,
    ModelInfo,
    ModelVersionInfo,
    OnExisting,
    PreviewRequest,
    Promotion,
    Reason,
    Registered,
    RegisteredModelPage,
    Rollback,
    Run,
    RunKind,
    RunPage,
    RunRequest,
    RunStatus,
    ScoreRequest,
    Task,
    Transition,
    TrialPage,
    UsageReport,
    YardState,
)
from trainyard.errors import (
    CannotPredict,
    CannotPromote,
    ChampionChanged,
    Invalid,
    KeyReused,
    Unavailable,
    UnknownModel,
    UnknownRun,
)
from trainyard.suggestions import suggestion

if TYPE_CHECKING:
    from trainyard.peers.question import Question
    from trainyard.registry.promotion import Decision
    from trainyard.registry.turn import Turn


class InMemoryRuns:
    """Keeps the contract of `trainyard.supervisor.protocol.Runs`, and trains nothing.

    A run stays SCHEDULED, as one that is about to get its slot, until the test says with `change` what
    its process would have done. There is no queue, and a cancelled run is KILLED at once.
    """

    def __init__(self, logs: Path, models: Mapping[str, ModelInfo] | None = None) -> None:
        self.models: Mapping[str, ModelInfo] = models if models is not None else example_models()
        self.broken_models: dict[str, str] = {}
        self.previewed: DataPreview | None = None
        self.not_ready: dict[str, str] = {}
        self.started = False
        self.waiting = asyncio.Event()
        self.submitted: list[RunRequest] = []
        self.versions = {
            "models:/example/1": "models:/example/1",
            "models:/example@champion": "models:/example/1",
        }
        """Which version each `model_uri` that can be scored stands for."""
        self.kept_logs: dict[str, str] = {}
        self.promotions: list[tuple[str, Promotion]] = []
        self.rollbacks: list[tuple[str, Rollback]] = []
        """Each promotion that was decided: the run's id, and what was asked."""
        self.champion_changed = False
        """Whether another version holds every alias than the runs were judged against."""
        self.registry = CollectorRegistry()
        self._logs = logs
        self._stopped = False
        self._runs: dict[str, Run] = {}
        self._requests: dict[str, RunRequest] = {}
        self._keys: dict[str, tuple[str, RunRequest]] = {}
        self._changed = asyncio.Condition()
        self._new: asyncio.Queue[str] = asyncio.Queue()
        self._ended = _metrics(self.registry, self._count)

    # Life

    async def start(self) -> None:
        """Say that it was started."""
        self.started, self._stopped = True, False

    async def stop(self) -> None:
        """Say that it was stopped, and take no more requests until it is started again."""
        self.started, self._stopped = False, True

    def capacity(self) -> Capacity:
        """A service of one slot that nobody has."""
        nothing = Amount(total=0, used=0, waited_for=0)
        one = Amount(total=1, used=0, waited_for=0)
        return Capacity(
            service="example",
            slots=one,
            cpus=one,
            gpus=nothing,
            memory_mb=nothing,
            running=[],
            waiting=[],
        )

    async def usage(self, month: str | None = None) -> UsageReport:  # noqa: ARG002 - its contract's
        """Nobody used anything."""
        return UsageReport(service="example", usage=[])

    async def problems(self) -> dict[str, str]:
        """What the test says is not ready."""
        return self.not_ready

    # What callers ask

    async def submit(
        self, request: RunRequest, key: str | None, by: Caller | None = None
    ) -> tuple[Run, bool]:
        """A scheduled run, or the one that has the key."""
        if self._stopped:
            raise Unavailable("the service is stopping")
        if not self.models:
            raise Unavailable("no models are loaded yet")
        self._check_known(request)
        earlier = self._with_key(request, key)
        if earlier is not None and _attaches(request.on_existing, earlier.status):
            return earlier, False
        run = self._accepted(request, key, attempt=earlier.attempt + 1 if earlier else 1)
        if by is not None:
            who = {"submitted_by": by.name, "team": by.team}
            run = self._runs[run.run_id] = run.model_copy(update=who)
        return run, True

    async def preview(self, request: PreviewRequest) -> DataPreview:
        """What the test says that the data looks like."""
        if self.previewed is None:
            raise Invalid.field(
                "/data", f"the source {request.data.source!r} is not looked at here"
            )
        return self.previewed

    async def get(self, run_id: str) -> Run:
        """The run."""
        if run_id not in self._runs:
            raise UnknownRun(f"this service has no run {run_id!r}")
        return self._runs[run_id]

    async def wait(self, run_id: str, seconds: float, since: int | None) -> Run:
        """The run once it changed or ended."""
        self.waiting.set()

        def arrived() -> bool:
            run = self._runs[run_id]
            return run.status.ended or (since is not None and run.version > since)

        await self.get(run_id)
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(arrived)
        except TimeoutError:
            pass
        return self._runs[run_id]

    def live_json(self, run_id: str) -> bytes | None:
        """The run as JSON; every run is a recent one here."""
        run = self._runs.get(run_id)
        return run.model_dump_json().encode() if run else None

    async def yard(self, seconds: float, since: int | None) -> bytes:
        """All runs that the test made; the version is the sum of theirs."""

        def version() -> int:
            return sum(run.version for run in self._runs.values())

        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: since != version())
        except TimeoutError:
            pass
        return self._yard_state(version()).model_dump_json().encode()

    def _yard_state(self, version: int) -> YardState:
        runs = list(self._runs.values())
        return YardState(
            version=version,
            service="example",
            slots=1,
            queue_limit=100,
            running=[run for run in runs if run.status is RunStatus.RUNNING],
            waiting=[run for run in runs if run.status is RunStatus.SCHEDULED],
            ended=[run for run in reversed(runs) if run.status.ended][:20],
        )

    async def curves(self, run_id: str) -> Curves:
        """The newest metrics, as a point each."""
        run = await self.get(run_id)
        step = run.progress.done if run.progress else 0
        return Curves(metrics={name: [(step, value)] for name, value in run.metrics.items()})

    async def trials(self, run_id: str, *, limit: int, cursor: str | None) -> TrialPage:
        """None: nothing searches here."""
        del limit, cursor
        await self.get(run_id)
        return TrialPage(metric=None, trials=[])

    async def request(self, run_id: str) -> RunRequest:
        """What was asked for."""
        await self.get(run_id)
        return self._requests[run_id]

    async def registered_models(self, cursor: str | None) -> RegisteredModelPage:
        """None: there is no registry."""
        if cursor is not None:
            raise Invalid.field("/query/cursor", "is not one that this service gave out")
        return RegisteredModelPage(models=[])

    async def model_versions(self, name: str) -> list[ModelVersionInfo]:
        """None: there is no registry."""
        raise UnknownModel(f"MLflow has no registered model {name!r}")

    async def page(
        self,
        *,
        status: RunStatus | None,
        model: str | None,
        experiment: str | None,
        limit: int,
        cursor: str | None,
    ) -> RunPage:
        """Runs, newest first; the cursor is how many were submitted before the last one."""
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            raise Invalid.field("/query/cursor", "is not one that this service gave out")
        older = list(enumerate(self._runs.values()))[: None if cursor is None else int(cursor)]
        fitting = [
            (place, run)
            for place, run in reversed(older)
            if status in {None, run.status}
            and model in {None, run.model}
            and experiment in {None, run.experiment}
        ]
        page = fitting[:limit]
        more = len(fitting) > limit
        return RunPage(
            runs=[run for _, run in page], cursor=str(page[-1][0]) if page and more else None
        )

    async def cancel(self, run_id: str, by: Caller | None = None) -> tuple[Run, bool]:
        """The run, killed if it was under way."""
        run = await self.get(run_id)
        if run.status.ended:
            return run, False
        message = f"cancelled by {by.name}" if by else "cancelled"
        cancelled = {"status": RunStatus.KILLED, "reason": Reason.CANCELLED, "message": message}
        return await self.change(run_id, **cancelled), True

    async def promote(self, run_id: str, word: Promotion) -> Registered:
        """The run's version, promoted unless it is rejected; the test says with `change` what it registered and decided."""
        run = await self.get(run_id)
        judged = run.registered
        if run.status is not RunStatus.FINISHED or judged is None or judged.decision is None:
            raise CannotPromote(f"the run {run_id} is {run.status}, and was not judged")
        if word.approved and self.champion_changed:
            raise ChampionChanged
        self.promotions.append((run_id, word))
        text = "promoted: it is approved" if word.approved else "not promoted: rejected"
        return judged.model_copy(update={"promoted": word.approved, "decision": text})

    async def rollback(self, name: str, word: Rollback) -> Registered:
        """Version 1, which holds the alias again; the second time there is no earlier holder."""
        if any(name == each for each, _ in self.rollbacks):
            raise CannotPromote(f"{name!r} has no earlier holder of {word.alias!r} to roll back to")
        self.rollbacks.append((name, word))
        text = f"rolled back: version 1 holds {word.alias!r} again"
        return Registered(
            name=name, version="1", aliases=[word.alias], promoted=True, decision=text
        )

    async def decide(self, turn: "Turn") -> "Decision":  # noqa: ARG002 - there is no registry
        """This service decides for no other."""
        raise CannotPromote

    async def predict(self, question: "Question", path: Path) -> str:  # noqa: ARG002 - nothing is predicted here
        """This service loads no models."""
        raise CannotPredict

    def log_path(self, run_id: str) -> Path | None:
        """The log that the test wrote."""
        path = self._logs / f"{run_id}.log"
        return path if path.exists() else None

    async def log_text(self, run_id: str) -> str:
        """The log that the test kept, as MLflow would have it."""
        if run_id not in self.kept_logs:
            raise UnknownRun(f"run {run_id!r} left no log")
        return self.kept_logs[run_id]

    # What the test does

    async def next_submitted(self) -> str:
        """The run_id of the next run that is accepted."""
        return await self._new.get()

    async def change(self, run_id: str, **fields: Any) -> Run:
        """The run with these fields, one version on; one that has ended stays as it is.

        A new status or phase is also a transition, and sets the times and `retryable` that go with it.
        """
        async with self._changed:
            run = self._runs[run_id]
            if run.status.ended:
                return run
            changed = run.model_copy(update=_consequences(run, fields) | fields)
            self._runs[run_id] = changed
            if changed.status.ended:
                trains = changed.kind is RunKind.TRAIN
                model = changed.model if trains else changed.kind
                self._ended.labels(changed.status, model, changed.reason or "").inc()
            self._changed.notify_all()
            return changed

    def _count(self, status: RunStatus) -> int:
        return sum(run.status is status for run in self._runs.values())

    def _with_key(self, request: RunRequest, key: str | None) -> Run | None:
        """The newest run that has the key. Raises `KeyReused` when it was asked for with another body."""
        if key is None or key not in self._keys:
            return None
        run_id, earlier = self._keys[key]
        if earlier != _without_choice(request):
            raise KeyReused
        return self._runs[run_id]

    def _check_known(self, request: RunRequest) -> None:
        """Raise `Invalid` for a model that can not be trained, or not be scored."""
        known, pointer, does = self.models.keys(), "/model", "this service trains"
        if isinstance(request, ScoreRequest):
            known, pointer, does = self.versions.keys(), "/model_uri", "there are"
        if request.model not in known:
            hint = suggestion(request.model, known, otherwise=does)
            raise Invalid.field(pointer, f"{request.model!r} is unknown; {hint}")

    def _accepted(self, request: RunRequest, key: str | None, *, attempt: int) -> Run:
        scheduled = request
        if isinstance(request, ScoreRequest):
            resolved = {"model_uri": self.versions[request.model_uri]}
            scheduled = request.model_copy(update=resolved)
        run = _scheduled(scheduled, attempt)
        self._runs[run.run_id] = run
        self._requests[run.run_id] = request
        self.submitted.append(request)
        self._new.put_nowait(run.run_id)
        if key is not None:
            self._keys[key] = run.run_id, _without_choice(request)
        return run


def example_models() -> dict[str, ModelInfo]:
    """One model."""
    info = ModelInfo(
        name="xgboost_classifier",
        task=Task.CLASSIFICATION,
        framework="xgboost-cpu",
        framework_version="3.2.0",
        description="Gradient-boosted trees",
        data=["table"],
        params_schema={"type": "object"},
        defaults={},
        example={"model": "xgboost_classifier"},
    )
    return {info.name: info}


def _without_choice(request: RunRequest) -> RunRequest:
    """The request but for `on_existing`, which says nothing about what is trained."""
    return request.model_copy(update={"on_existing": OnExisting.RERUN_FAILED})


def _attaches(choice: OnExisting, status: RunStatus) -> bool:
    """Whether a run with the key is the answer, or another is trained."""
    if choice is OnExisting.ATTACH or not status.ended:
        return True
    return choice is OnExisting.RERUN_FAILED and status is RunStatus.FINISHED


def _scheduled(request: RunRequest, attempt: int) -> Run:
    run_id, now = uuid4().hex, datetime.now(UTC)
    here = f"/train/{run_id}"
    return Run(
        run_id=run_id,
        kind=request.kind,
        status=RunStatus.SCHEDULED,
        version=1,
        model=request.model,
        service="example",
        experiment=request.experiment,
        experiment_id="0",
        run_name=request.run_name or "unnamed",
        attempt=attempt,
        submitted_at=now,
        transitions=[Transition(status=RunStatus.SCHEDULED, at=now)],
        links=Links(self=here, logs=f"{here}/logs", mlflow="http://127.0.0.1:5000"),
    )


def _consequences(run: Run, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What else changes in a run whose fields become these."""
    now = datetime.now(UTC)
    status, phase = RunStatus(fields.get("status", run.status)), fields.get("phase")
    also: dict[str, Any] = {"version": run.version + 1}
    if status is not run.status or phase not in {None, run.phase}:
        step = Transition(status=status, phase=phase, at=now, message=fields.get("message"))
        also["transitions"] = [*run.transitions, step]
    if status is RunStatus.RUNNING and run.started_at is None:
        also["started_at"] = now
    if status.ended:
        reason: Reason | None = fields.get("reason")
        also |= {"ended_at": now, "phase": None, "retryable": reason.retryable if reason else None}
    return also


def _metrics(registry: CollectorRegistry, count: Callable[[RunStatus], int]) -> Counter:
    """The same names as a service's; the counter of ended runs."""
    gauges: dict[str, Callable[[], float]] = {
        "trainyard_runs_queued": partial(count, RunStatus.SCHEDULED),
        "trainyard_runs_running": partial(count, RunStatus.RUNNING),
        "trainyard_slots": lambda: 1,
        "trainyard_queue_limit": lambda: 100,
    }
    for name, function in gauges.items():
        Gauge(name, name, registry=registry).set_function(function)
    labels = ["status", "model", "reason"]
    return Counter("trainyard_runs_ended", "Runs ended", labels, registry=registry)
