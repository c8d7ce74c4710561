"""A launcher whose processes do what the test says, and a supervisor over it and over an MLflow in memory."""

import asyncio
import itertools
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fake_mlflow import FakeMlflow, FakeTracking
from trainyard.contract import (
    FieldError,
    ModelInfo,
    Phase,
    Reason,
    RunRequest,
    RunStatus,
    Task,
    TrainRequest,
)
from trainyard.datasets.access import DataAccess
from trainyard.errors import CannotPredict
from trainyard.launcher.messages import Case, Job, Noted, PhaseEntered, Progressed, Warned
from trainyard.launcher.protocol import Launcher, Listener, Looked, Meeting, Process, RankEnd, Used
from trainyard.peers.question import Question
from trainyard.registry.promotion import Judgement
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome, Submission
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.supervisor.supervisor import Supervisor

MODEL, MODEL_WITH_BATCHES = "ticking", "batching"


@dataclass
class FakeProcess:
    """A run's process on the machine; it may outlive the service that started it."""

    id: str
    job: Job
    listener: Listener
    code: int | None = None
    stubborn: bool = False
    """Does not hear SIGTERM."""
    asked_to_stop: int = 0
    killed: int = 0
    released: int = 0
    used: Used = field(default_factory=lambda: Used(cpu_seconds=1.0, peak_memory_mb=100))
    handles: list["FakeHandle"] = field(default_factory=list)
    lost_with: str | None = None
    """The host that was lost."""
    for_memory: bool = False
    """Whether its host says that the kernel has ended it for memory."""
    _sequence: int = 0

    @property
    def runs(self) -> bool:
        return self.code is None

    @property
    def run_id(self) -> str:
        return self.job.submission.run_id

    # What it tells

    def enter(self, phase: Phase) -> None:
        self.send(PhaseEntered(sequence=self._next(), phase=phase))

    def progress(self, done: int, total: int = 10, **metrics: float) -> None:
        told = Progressed(
            sequence=self._next(), done=done, total=total, unit="rounds", metrics=metrics
        )
        self.send(told)

    def note(self, message: str) -> None:
        self.send(Noted(sequence=self._next(), message=message))

    def warn(self, *warnings: str) -> None:
        self.send(Warned(sequence=self._next(), warnings=warnings))

    def send(self, event: PhaseEntered | Progressed | Noted | Warned) -> None:
        """As it is: also one that is late, or comes twice."""
        if not self.released:
            self.listener(event)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    # How it ends

    def write_outcome(
        self, status: RunStatus = RunStatus.FINISHED, reason: Reason | None = None, **fields: Any
    ) -> None:
        outcome = Outcome(status=status, reason=reason, ended_at=datetime.now(UTC), **fields)
        if self.runs and self.job.folder.exists():
            RunFolder(self.job.folder).write_outcome(outcome)

    def finish(self, **metrics: float) -> None:
        self.write_outcome(metrics=metrics)
        self.exit(0)

    def fail(self, reason: Reason, message: str = "it went wrong") -> None:
        self.write_outcome(reason.status, reason, message=message)
        self.exit(1)

    def die(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.exit(-number)

    def exit(self, code: int) -> None:
        if self.runs:
            self.code = code
            for handle in self.handles:
                handle.gone.set()


class FakeHandle:
    """What a service holds of a process."""

    def __init__(self, process: FakeProcess) -> None:
        self._process = process
        self.gone = asyncio.Event()
        process.handles.append(self)
        if not process.runs:
            self.gone.set()

    @property
    def id(self) -> str:
        return self._process.id

    @property
    def used(self) -> Used:
        return self._process.used

    @property
    def ranks(self) -> Sequence[RankEnd]:
        return ()

    @property
    def lost_with(self) -> str | None:
        return self._process.lost_with

    @property
    def missed(self) -> str | None:
        return self.lost_with

    @property
    def cut_from(self) -> None:
        return

    @property
    def for_memory(self) -> bool:
        return self._process.for_memory

    async def ended(self) -> int | None:
        await self.gone.wait()
        return self._process.code

    def ask_to_stop(self) -> None:
        self._process.asked_to_stop += 1
        if not self._process.stubborn:
            self._process.exit(-signal.SIGTERM)

    def kill(self) -> None:
        self._process.killed += self._process.runs
        self._process.exit(-signal.SIGKILL)

    def release(self) -> None:
        self._process.released += 1
        self._process.exit(-signal.SIGKILL)

    def let_go(self) -> None:
        """As of a launcher that keeps runs: the process goes on."""


class Machine:
    """Where processes run, whichever service started them."""

    def __init__(self) -> None:
        self.processes: list[FakeProcess] = []
        self.autopilot = False
        """Each process finishes as soon as it is started."""
        self.keeps_runs = False
        """Whether processes go on without the service, as on other hosts."""
        self._numbers = itertools.count(1)

    def fork(self, job: Job, listener: Listener) -> FakeProcess:
        made = job.process_id or f"process-{next(self._numbers)}"
        process = FakeProcess(made, job, listener)
        if not job.process_id:
            RunFolder(job.folder).note_process(made)
        self.processes.append(process)
        if self.autopilot:
            asyncio.get_running_loop().call_soon(process.finish)
        return process

    def running(self) -> list[FakeProcess]:
        return [process for process in self.processes if process.runs]

    def of(self, run_id: str) -> list[FakeProcess]:
        """The run's processes, oldest first."""
        return [process for process in self.processes if process.run_id == run_id]


class FakeLauncher:
    """The launcher of one service, over the machine."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or Machine()
        self.errors: list[FieldError] = []
        """What `check` answers."""
        self.launch_errors: deque[Exception] = deque()
        """What the next launches raise, one each."""
        self.check_error: Exception | None = None
        self.models: Mapping[str, ModelInfo] = {
            MODEL: _model(MODEL, {}),
            MODEL_WITH_BATCHES: _model(MODEL_WITH_BATCHES, {"batch_size": 64}),
        }
        self.broken: Mapping[str, str] = {}
        self.checked = 0
        self.meetings: list[Meeting] = []
        """Of the ranks that were launched alone."""

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def warm(self) -> bool:
        return bool(self.models)

    async def check(self, request: RunRequest, access: DataAccess) -> Looked:  # noqa: ARG002
        self.checked += 1
        await asyncio.sleep(0)
        if self.check_error:
            raise self.check_error
        return Looked(tuple(self.errors), 0)

    async def judge(self, case: Case, access: DataAccess) -> Judgement:  # noqa: ARG002
        await asyncio.sleep(0)
        return Judgement(case.holder, incomparable="this machine judges nobody")

    async def predict(self, question: Question, access: DataAccess, path: Path) -> str:  # noqa: ARG002
        await asyncio.sleep(0)
        raise CannotPredict

    async def launch(self, job: Job, listener: Listener) -> Process:
        await asyncio.sleep(0)
        if self.launch_errors:
            raise self.launch_errors.popleft()
        return FakeHandle(self.machine.fork(job, listener))

    async def launch_rank(self, job: Job, listener: Listener, meeting: Meeting) -> Process:
        self.meetings.append(meeting)
        return await self.launch(job, listener)

    async def find(self, process_id: str) -> Process | None:
        for process in self.machine.running():
            if process.id == process_id:
                return FakeHandle(process)
        return None

    async def take_up(self, process_id: str, folder: Path, listener: Listener) -> Process | None:  # noqa: ARG002
        for process in self.machine.running():
            if process.id == process_id:
                process.listener, process.released = listener, 0
                return FakeHandle(process)
        return None

    @property
    def complaints(self) -> Mapping[str, str]:
        return {}

    @property
    def keeps_runs(self) -> bool:
        return self.machine.keeps_runs

    def end_strays(self) -> None:
        pass


_is_a_launcher: type[Launcher] = FakeLauncher


def _model(name: str, defaults: dict[str, Any]) -> ModelInfo:
    return ModelInfo(
        name=name,
        task=Task.CLASSIFICATION,
        framework="scikit-learn",
        framework_version="1",
        description="Counts",
        data=["table"],
        params_schema={},
        defaults=defaults,
        example={"model": name, "data": {"source": "builtin", "name": "iris"}},
    )


def asked_for(model: str = MODEL, **fields: Any) -> TrainRequest:
    """A request that the fake launcher takes."""
    data = {"source": "builtin", "name": "iris"}
    return TrainRequest.model_validate({"model": model, "data": data} | fields, strict=False)


def submission_of(request: RunRequest, run_id: str = "r1", **facts: Any) -> Submission:
    """A submission of the request; what is not among `facts` matters to nobody."""
    known: dict[str, Any] = {
        "key": None,
        "digest": "d",
        "attempt": 1,
        "experiment_id": "0",
        "run_name": "one",
        "artifact_uri": f"mlflow-artifacts:/0/{run_id}",
        "submitted_at": datetime.now(UTC),
    }
    return Submission(run_id=run_id, request=request, **(known | facts))


def job_of(submission: Submission | None = None, **facts: Any) -> Job:
    """What a service would have started of it; what is not among `facts` matters to nobody."""
    of_the_service = Path("/of/the/service")
    known: dict[str, Any] = {
        "folder": of_the_service,
        "service": "test",
        "tracking_uri": "http://of-the-service",
        "threads": 1,
        "access": DataAccess((), of_the_service),
        "locks": of_the_service,
        "patience_seconds": 1.0,
        "git_commit": "",
    }
    return Job(submission=submission or submission_of(asked_for()), **(known | facts))


def settings_in(home: Path, **changes: Any) -> Settings:
    """Settings that read nothing of this machine that matters."""
    fields: dict[str, Any] = {
        "instance": "svc",
        "work_dir": home,
        "data_dir": home / "data",
        "tracking_uri": "http://mlflow.test",
        "min_free_disk_mb": 0,
        "threads": 1,
        "slots": 1,
        "queue": 100,
        "grace_seconds": 15.0,
        "host": "127.0.0.1",
    }
    return Settings(**(fields | changes))


@dataclass
class Yard:
    """A supervisor, started and ready, and a hand on its runs' processes."""

    runs: Supervisor
    launcher: FakeLauncher
    mlflow: FakeMlflow
    model: str = MODEL

    @property
    def machine(self) -> Machine:
        return self.launcher.machine

    async def process(self, run_id: str) -> FakeProcess:
        """The run's newest process, once it runs."""
        await until(lambda: any(each.runs for each in self.machine.of(run_id)))
        return self.machine.of(run_id)[-1]

    async def begin(self, run_id: str) -> None:
        process = await self.process(run_id)
        process.enter(Phase.TRAINING)
        while (run := await self.runs.get(run_id)).phase is not Phase.TRAINING:
            await self.runs.wait(run_id, 1.0, run.version)

    async def report(self, run_id: str, done: int) -> None:
        if processes := self.machine.of(run_id):
            processes[-1].progress(done)

    async def end(self, run_id: str, status: RunStatus, reason: Reason | None) -> None:
        if status is RunStatus.KILLED:
            await self.runs.cancel(run_id)
        else:
            process = await self.process(run_id)
            process.write_outcome(status, reason)
            process.exit(0 if reason is None else 1)
        await self.runs.wait(run_id, 60.0, None)
        await until(lambda: self._running() <= len(self.machine.running()))

    def _running(self) -> float:
        return self.runs.registry.get_sample_value("trainyard_runs_running") or 0.0


async def until(condition: Callable[[], Any], seconds: float = 180.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def over_the_supervisor(home: Path, **settings: Any) -> AsyncIterator[Yard]:
    """A service that runs over the fakes, until the block is left."""
    mlflow, launcher = FakeMlflow(), FakeLauncher()
    mlflow.keeps_files = False
    chosen = settings_in(home, **({"slots": 8} | settings))
    runs = Supervisor(Service("svc", "pkg", 1), chosen, launcher, FakeTracking(mlflow))
    await runs.start()
    try:
        await until(lambda: runs._recovered)
        yield Yard(runs, launcher, mlflow)
    finally:
        await runs.stop()
