"""The launcher by itself: a real fork server, real processes, and no service."""

import asyncio
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from fakes import job_of, submission_of
from servers import START_SECONDS, free_port
from trainyard.contract import TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.launcher.fork_launcher import ForkLauncher
from trainyard.launcher.messages import (
    Job,
    Noted,
    PhaseEntered,
    Progressed,
    Warned,
)
from trainyard.launcher.spare import NAME as SPARE
from trainyard.rundir.folder import RunFolder

LOG_LIMIT_MB = 20
Event = PhaseEntered | Progressed | Noted | Warned
InLab = Callable[..., Any]
"""Runs a test's coroutine beside the launcher: the fixture `in_lab`."""

HARSH = '''
import gc, os, signal, sys, time
import numpy as np
from pydantic import field_validator
from trainyard.contract import Task
from trainyard.trainer import Params


class HarshParams(Params):
    trouble: str = ""

    @field_validator("trouble")
    @classmethod
    def _do(cls, trouble):
        if trouble == "raise":
            raise ZeroDivisionError("banana")
        if trouble == "exit":
            sys.exit(3)
        if trouble == "leave":
            os._exit(3)
        if trouble == "hang":
            time.sleep(1000)
        if trouble == "spin":
            while True:
                pass
        if trouble == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if trouble == "memory":
            return str(len(bytearray(4 << 30)))
        if trouble == "bad":
            raise ValueError("no such trouble")
        return trouble


class Harsh:
    """Does harm as it is told: in its validator, or while it trains."""

    name = "harsh"
    task = Task.CLASSIFICATION
    data = ("table",)
    framework = "scikit-learn"
    description = "Harsh"
    params = HarshParams
    example = {}

    def autolog(self):
        pass

    def train(self, params, data, training):
        import tempfile
        print("TMPDIR", tempfile.mkdtemp(), os.environ["TMPDIR"], os.environ.get("MARK"), flush=True)
        if params.trouble == "socket":
            from multiprocessing.connection import Listener
            with Listener(family="AF_UNIX") as listener:
                print("SOCKET", listener.address)
        if params.trouble == "garbage":
            print("COLLECTED", gc.isenabled(), gc.get_freeze_count() > 100_000)
        if params.trouble == "chatter":
            line = "x" * 1023
            while True:
                print(line)
        if params.trouble == "shows":
            from threadpoolctl import threadpool_info
            pools = {each["num_threads"] for each in threadpool_info() if each["user_api"] == "openmp"}
            thread = os.fork()
            if not thread:
                os._exit(0 if os.sched_getaffinity(0) == os.sched_getaffinity(os.getppid()) else 1)
            inherited = os.waitpid(thread, 0)[1] == 0
            end = time.process_time() + 0.5
            while time.process_time() < end:
                pass
            print("GIVEN", sorted(os.sched_getaffinity(0)), pools, os.environ["CUDA_VISIBLE_DEVICES"], inherited)
        if params.trouble == "hungry":
            held = []
            if os.fork() == 0:
                time.sleep(1000)
            while True:
                held.append(np.ones(1 << 18))
                time.sleep(0.005)
        if params.trouble == "notes":
            for number in range(500):
                training.note("x" * 2000)
        training.report(done=np.int64(1), total=np.int64(2), unit="rounds", metrics={"train_log_loss": np.float32(0.5)})
        training.report(done=2, total=2, unit="rounds", metrics={"train_log_loss": np.float64(0.25)})
        raise RuntimeError("done")


harsh = Harsh()
'''
EXITS = "import sys\nsys.exit(3)\n"
CANNOT_SAY = (
    HARSH.replace('"harsh"', '"unsaid"')
    .replace("harsh = Harsh()", "unsaid = Harsh()")
    .replace('trouble: str = ""', "trouble: str")
)


class Lab:
    """A launcher, and what a supervisor would have: folders, jobs, and what was heard."""

    def __init__(self, home: Path, launcher: ForkLauncher) -> None:
        self.home = home
        self.access = DataAccess((home,), home / "data")
        self.launcher = launcher
        self.heard: dict[str, list[Event]] = {}

    def request(self, model: str = "ticking", **changes: Any) -> TrainRequest:
        return TrainRequest.model_validate(
            {"model": model, "data": {"source": "builtin", "name": "iris"}, **changes}
        )

    def job(
        self,
        model: str = "ticking",
        *,
        environment: Any = None,
        limit_mb: int | None = None,
        cores: tuple[int, ...] = (),
        niceness: int = 0,
        **params: Any,
    ) -> Job:
        run_id = uuid.uuid4().hex
        submission = submission_of(self.request(model, params=params), run_id)
        (self.home / "runs").mkdir(exist_ok=True)
        folder = RunFolder(self.home / "runs" / run_id)
        folder.create(submission)
        return job_of(
            submission,
            folder=folder.path,
            tracking_uri=f"http://127.0.0.1:{free_port()}",
            access=self.access,
            locks=self.home,
            log_limit_mb=LOG_LIMIT_MB,
            environment=environment or {},
            memory_limit_mb=limit_mb,
            cores=cores,
            niceness=niceness,
        )

    async def launch(self, job: Job) -> Any:
        heard = self.heard[job.submission.run_id] = []
        return await self.launcher.launch(job, heard.append)

    def rounds(self, job: Job) -> int:
        done = [e.done for e in self.heard[job.submission.run_id] if isinstance(e, Progressed)]
        return done[-1] if done else 0

    async def training(self, job: Job, rounds: int = 3) -> None:
        await until(lambda: self.rounds(job) >= rounds, f"{rounds} rounds", job)

    async def trains(self) -> tuple[Job, Any]:
        """A run that has trained a few rounds, and its process."""
        job = self.job()
        process = await self.launch(job)
        await self.training(job)
        return job, process

    def fork_server(self) -> psutil.Process:
        process = self.launcher._server._process
        assert process is not None
        return psutil.Process(process.pid)

    def spares(self) -> list[psutil.Process]:
        return [each for each in self.fork_server().children() if each.name() == SPARE]

    async def spare(self) -> psutil.Process:
        return (await until(self.spares, "a process that waits for the next run"))[0]


def process_of(run: Any) -> psutil.Process:
    return psutil.Process(int(run.id.split(":")[1]))


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def until(
    condition: Callable[[], Any], what: str, job: Job | None = None, seconds: float = 120.0
) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        await asyncio.sleep(0.02)
    log = (job.folder / "training.log").read_text() if job else ""
    return pytest.fail(f"waited {seconds:g} s for {what}\n{log}")


def same(one: str | Path, other: Path) -> bool:
    return Path(one).samefile(other)


def size(path: Path) -> int:
    return path.stat().st_size


def beginning_of(log: Path) -> str:
    with log.open() as file:
        return file.read(1000)


async def opened(home: Path) -> Lab:
    launcher = ForkLauncher(
        "trainyard_boosting",
        home / "models",
        threads=1,
        tracking_uri="http://127.0.0.1:9",
        line_grace_seconds=3.0,
    )
    await launcher.start()
    await until(launcher.warm, "the fork server", seconds=START_SECONDS)
    return Lab(home, launcher)
