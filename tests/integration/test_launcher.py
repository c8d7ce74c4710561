"""The launcher by itself: a real fork server, real processes, and no service."""

import asyncio
import gc
import os
import signal
import time
import uuid
import weakref
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from fakes import submission_of
from servers import MODELS, START_SECONDS, free_port
from trainyard.contract import ModelInfo, Phase, TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.errors import LaunchRefused, Unavailable
from trainyard.launcher.fork_launcher import ForkLauncher
from trainyard.launcher.messages import (
    Hello,
    Job,
    Noted,
    PhaseEntered,
    Progressed,
    Warned,
    as_line,
)
from trainyard.launcher.spare import NAME as SPARE
from trainyard.rundir.folder import RunFolder, run_folders

LOG_LIMIT_MB = 20
Event = PhaseEntered | Progressed | Noted | Warned
T = TypeVar("T")
HARSH = '''
import os, signal, sys, time
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
                held.append(np.ones(2 << 20))
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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Holds the models, the runs and what may be trained on."""
    home = tmp_path_factory.mktemp("launcher")
    (home / "models").mkdir()
    models = {"ticking": MODELS, "harsh": HARSH, "exits": EXITS, "unsaid": CANNOT_SAY}
    for name, text in models.items():
        (home / f"models/{name}.py").write_text(text)
    yield home
    for folder in run_folders(home / "runs"):
        folder.close()


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
        return Job(
            submission=submission,
            folder=folder.path,
            service="test",
            tracking_uri=f"http://127.0.0.1:{free_port()}",
            threads=1,
            access=self.access,
            locks=self.home,
            patience_seconds=1.0,
            git_commit="",
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


@pytest.fixture(scope="module")
def in_lab(home: Path) -> Iterator[Callable[..., Any]]:
    """Runs a test's coroutine beside a launcher that is warm; one for all of these tests."""
    with asyncio.Runner() as runner:
        lab = runner.run(opened(home))

        def run(test: Callable[[Lab], Awaitable[T]], check_seconds: float = 30.0) -> T:
            async def inside() -> T:
                lab.launcher._check_seconds = check_seconds
                await until(lab.launcher.warm, "the fork server", seconds=START_SECONDS)
                return await test(lab)

            return runner.run(inside())

        yield run
        runner.run(lab.launcher.stop())


def test_a_check_names_what_is_wrong_and_no_trouble_ends_the_fork_server(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        server = lab.fork_server().pid
        assert set(lab.launcher.models) >= {"ticking", "harsh", "xgboost_classifier"}
        assert isinstance(lab.launcher.models["harsh"], ModelInfo)
        assert "SystemExit" in str(lab.launcher.broken)
        assert "trainyard_models.unsaid.unsaid" in lab.launcher.broken

        async def wrong(trouble: str) -> list[tuple[str, str]]:
            request = lab.request("harsh", params={"trouble": trouble})
            return [
                (each.pointer, each.detail)
                for each in (await lab.launcher.check(request, lab.access)).errors
            ]

        assert await wrong("") == []
        assert [pointer for pointer, _ in await wrong("bad")] == ["/params/trouble"]
        for trouble, said in {
            "raise": "ZeroDivisionError: banana",
            "exit": "SystemExit: 3",
            "leave": "exit code 3",
            "segfault": "SIGSEGV",
            "memory": "1024 MB",
            "hang": "longer than 2 s",
            "spin": "longer than 2 s",
        }.items():
            ((pointer, detail),) = await wrong(trouble)
            assert pointer == "/params"
            assert said in detail
        both = lab.request(
            "harsh",
            params={"trouble": 3},
            data={"source": "file", "uri": "nowhere.csv", "target": "y"},
        )
        found = await lab.launcher.check(both, lab.access)
        assert [each.pointer for each in found.errors] == ["/params/trouble", "/data/uri"]
        (unknown,) = (await lab.launcher.check(lab.request("banana"), lab.access)).errors
        assert unknown.pointer == "/model"
        assert lab.fork_server().pid == server

    in_lab(test, check_seconds=2.0)


def test_requests_that_hang_do_not_keep_others_waiting_for_ever(in_lab: Callable[..., Any]) -> None:
    async def test(lab: Lab) -> None:
        hanging = lab.request("harsh", params={"trouble": "hang"})
        checks = [
            lab.launcher.check(each, lab.access) for each in (*[hanging] * 6, lab.request("harsh"))
        ]
        *stuck, fine = await asyncio.gather(*checks)
        assert fine.errors == ()
        assert all(each.errors for each in stuck)

    in_lab(test, check_seconds=1.0)


def test_a_run_tells_plain_numbers_has_its_own_temporary_folder_and_few_short_notes(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job("harsh", trouble="notes", environment={"MARK": "marked"})
        process = await lab.launch(job)
        assert await process.ended() == 0
        folder = RunFolder(job.folder)
        outcome = folder.outcome()
        assert outcome is not None
        assert outcome.message == "RuntimeError: done"
        log = folder.log.read_text()
        _, temporary, tmpdir, mark = next(
            line.split() for line in log.splitlines() if line.startswith("TMPDIR")
        )
        assert Path(temporary).parent == Path(tmpdir)
        assert same(tmpdir, folder.temporary)
        assert mark == "marked"
        heard = lab.heard[job.submission.run_id]
        assert [each.metrics for each in heard if isinstance(each, Progressed)][-1] == {
            "train_log_loss": 0.25
        }
        notes = [each.message for each in heard if isinstance(each, Noted)]
        assert len(notes) == 200
        assert max(map(len, notes)) == 500
        assert [each.sequence for each in heard] == sorted({each.sequence for each in heard})
        folder.close()
        assert not folder.temporary.exists()
        process.release()

    in_lab(test)


def test_a_run_in_a_deep_work_directory_can_have_sockets_and_leaves_no_link(
    in_lab: Callable[..., Any], home: Path
) -> None:
    async def test(lab: Lab) -> None:
        deep = home / "deep" / ("down" * 20)
        deep.mkdir(parents=True)
        job = Lab(deep, lab.launcher).job("harsh", trouble="socket")
        process = await lab.launch(job)
        await process.ended()
        process.release()
        folder = RunFolder(job.folder)
        outcome = folder.outcome()
        assert outcome is not None
        assert outcome.message == "RuntimeError: done", folder.log.read_text()
        assert same(folder.temporary_link, folder.temporary)
        folder.close()
        assert not folder.temporary_link.is_symlink()
        assert not folder.temporary.exists()

    in_lab(test)


def test_a_run_that_prints_without_end_does_not_fill_the_disk(in_lab: Callable[..., Any]) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job("harsh", trouble="chatter")
        process = await lab.launch(job)
        log = RunFolder(job.folder).log
        for _ in range(3):
            await until(lambda: size(log) > LOG_LIMIT_MB * 2**20, "a log that is too long")
            await until(lambda: size(log) < LOG_LIMIT_MB * 2**20, "the log to be cut")
        process.kill()
        await process.ended()
        process.release()
        assert "TMPDIR" in beginning_of(log)

    in_lab(test)


def test_a_run_that_uses_more_memory_than_its_limit_ends_alone_and_says_how_much_it_was(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        neighbour, frugal = lab.job(), lab.job(limit_mb=4000)
        beside, also = await lab.launch(neighbour), await lab.launch(frugal)
        await lab.training(neighbour)
        await lab.training(frugal)
        hungry = await lab.launch(lab.job("harsh", trouble="hungry", limit_mb=500))
        assert await asyncio.wait_for(hungry.ended(), 30) == -signal.SIGKILL
        assert 500 < hungry.used.over_limit_mb < 1500
        assert hungry.used.peak_memory_mb == hungry.used.over_limit_mb
        hungry.release()
        done = lab.rounds(neighbour), lab.rounds(frugal)
        await lab.training(neighbour, done[0] + 3)
        await lab.training(frugal, done[1] + 3)
        for process in (beside, also):
            assert process.used.over_limit_mb is None
            assert 10 < process.used.peak_memory_mb < 1000
            process.kill()
            await process.ended()
            assert 0.0 < process.used.cpu_seconds < 10.0
            process.release()

    in_lab(test)


def test_a_run_has_the_cores_threads_and_gpus_that_it_was_given(in_lab: Callable[..., Any]) -> None:
    async def test(lab: Lab) -> None:
        last = max(os.sched_getaffinity(0))
        given = {"CUDA_VISIBLE_DEVICES": "GPU-7"}
        job = lab.job("harsh", trouble="shows", cores=(last,), environment=given)
        process = await lab.launch(job)
        await asyncio.wait_for(process.ended(), 30)
        assert 0.5 <= process.used.cpu_seconds < 10.0
        process.release()
        assert f"GIVEN [{last}] {{1}} GPU-7 True" in (job.folder / "training.log").read_text()

    in_lab(test)


@pytest.mark.parametrize("niceness", [0, 10])
def test_a_run_with_all_its_threads_stands_back_as_far_as_it_is_told(
    in_lab: Callable[..., Any], niceness: int
) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job(niceness=niceness)
        process = await lab.launch(job)
        await lab.training(job)
        of_run = Path(f"/proc/{process_of(process).pid}")
        own = os.getpriority(os.PRIO_PROCESS, lab.fork_server().pid)
        threads = [int(each.name) for each in (of_run / "task").iterdir()]
        nicer = {os.getpriority(os.PRIO_PROCESS, each) - own for each in threads}
        assert len(threads) > 1
        assert nicer == {niceness}
        session = of_run / "autogroup"
        assert not session.exists() or session.read_text().endswith(f"nice {niceness}\n")
        process.kill()
        await process.ended()
        process.release()

    in_lab(test)


def test_a_run_is_asked_to_stop_from_its_first_instant_on(in_lab: Callable[..., Any]) -> None:
    async def test(lab: Lab) -> None:
        for _ in range(20):
            job = lab.job()
            process = await lab.launch(job)
            process.ask_to_stop()
            async with asyncio.timeout(10):
                assert await process.ended() == 75, RunFolder(job.folder).log.read_text()
            process.release()
            assert RunFolder(job.folder).outcome() is None

    in_lab(test)


def test_a_run_is_the_process_that_waited_for_it_and_the_next_one_waits_then(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        spare = await lab.spare()
        job = lab.job()
        process = await lab.launch(job)
        assert process_of(process) == spare
        await lab.training(job)
        assert spare.name() == lab.fork_server().name()
        assert os.getsid(spare.pid) == os.getpgid(spare.pid) == spare.pid
        following = await lab.spare()
        assert following != spare
        found = await lab.launcher.find(process.id)
        assert found is process
        process.kill()
        assert await process.ended() == -signal.SIGKILL
        process.release()
        assert following.is_running()

    in_lab(test)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_what_befell_the_waiting_process_befalls_no_run(
    in_lab: Callable[..., Any], number: signal.Signals
) -> None:
    async def test(lab: Lab) -> None:
        server, spare = lab.fork_server(), await lab.spare()
        server.suspend()  # it hears of nothing before it has the order
        try:
            spare.send_signal(number)
            launching = asyncio.create_task(lab.launch(job := lab.job()))
            await until(lambda: lab.launcher._server._waiting, "the order to be on its way")
        finally:
            server.resume()
        process = await launching
        assert process_of(process) != spare
        await lab.training(job)
        process.kill()
        assert await process.ended() == -signal.SIGKILL
        process.release()
        await until(lambda: gone(spare), "the end of what cannot be used")
        assert lab.fork_server().pid == server.pid

    in_lab(test)


def test_an_order_larger_than_a_pipe_reaches_the_waiting_process(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        spare = await lab.spare()
        job = lab.job("harsh", environment={f"NAME_{number}": "x" * 1000 for number in range(200)})
        process = await lab.launch(job)
        assert process_of(process) == spare
        assert await process.ended() == 0
        process.release()
        outcome = RunFolder(job.folder).outcome()
        assert outcome is not None
        assert outcome.message == "RuntimeError: done"

    in_lab(test)


def test_the_waiting_process_ends_with_its_fork_server_whatever_else_lives(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job()
        process = await lab.launch(job)
        spare, server = await lab.spare(), lab.fork_server()
        others = {process_of(process), spare}
        hanging = asyncio.create_task(
            lab.launcher.check(lab.request("harsh", params={"trouble": "hang"}), lab.access)
        )
        (looker,) = await until(lambda: set(server.children()) - others, "the check's process")
        server.kill()
        await until(lambda: gone(spare), "the end of the waiting process")
        assert not gone(looker), "it held the waiting process's pipe no longer than it lived"
        with pytest.raises(Unavailable):
            await hanging
        process.kill()
        await process.ended()
        process.release()
        await until(lab.launcher.warm, "the next fork server", seconds=START_SECONDS)

    in_lab(test)


def test_a_waiting_process_that_is_stopped_does_not_hide_the_end_of_its_fork_server(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        spare, server = await lab.spare(), lab.fork_server()
        spare.suspend()
        server.kill()
        try:
            await until(lambda: not lab.launcher.warm(), "the end to be heard of")
        finally:
            spare.kill()
        await until(lab.launcher.warm, "the next fork server", seconds=START_SECONDS)

    in_lab(test)


def test_a_line_that_broke_is_taken_up_again_and_nothing_is_told_twice(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job()
        process = await lab.launch(job)
        await lab.training(job)
        for _ in range(3):
            before = lab.rounds(job)
            (connection,) = lab.launcher._lines._connections
            connection.close()
            await until(lambda before=before: lab.rounds(job) > before + 5, "more rounds", job)
        heard = [each.sequence for each in lab.heard[job.submission.run_id]]
        assert heard == sorted(set(heard))
        process.kill()
        assert await process.ended() == -signal.SIGKILL
        process.release()

    in_lab(test)


def test_a_run_whose_line_stays_broken_ends_itself_without_an_outcome(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job()
        process = await lab.launch(job)
        await lab.training(job)
        lab.launcher._lines.close()
        async with asyncio.timeout(10):
            assert await process.ended() == -signal.SIGKILL
        process.release()
        assert RunFolder(job.folder).outcome() is None
        unreached = lab.job()  # and one that never got through
        process = await lab.launch(unreached)
        async with asyncio.timeout(10):
            assert await process.ended() == 69
        process.release()
        assert RunFolder(unreached.folder).outcome() is None
        assert "cannot be reached" in RunFolder(unreached.folder).log.read_text()
        await lab.launcher._lines.open()

    in_lab(test)


def test_nobody_speaks_for_a_run_without_its_secret_and_odd_lines_are_dropped(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        heard: list[Event] = []
        writers: list[asyncio.StreamWriter] = []
        seat = lab.launcher._lines.reserve("run", heard.append)
        path = lab.launcher._lines._path

        async def say(secret: str, *lines: bytes) -> asyncio.StreamReader:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(as_line(Hello(run_id="run", secret=secret)) + b"".join(lines))
            writers.append(writer)
            return reader

        event = as_line(PhaseEntered(sequence=1, phase=Phase.TRAINING))
        stranger = await say("guessed", event)
        async with asyncio.timeout(5):
            assert await stranger.read() == b""
        assert heard == []
        later = as_line(PhaseEntered(sequence=2, phase=Phase.EVALUATING))
        odd = [b"\xff\n", b"{}\n", b"[" * 3_000_000 + b"\n"]
        own = await say(seat.secret, *odd, event, event, later, event)
        assert b"welcome" in await own.readline()
        await until(lambda: len(heard) == 2, "two events")
        assert [each.sequence for each in heard] == [1, 2]
        seat.leave()
        for writer in writers:
            writer.close()

    in_lab(test)


def test_runs_go_on_without_their_fork_server_and_a_pending_order_is_unavailable(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job()
        process = await lab.launch(job)
        await lab.training(job)
        server = lab.fork_server()
        pending = asyncio.create_task(
            lab.launcher.check(lab.request("harsh", params={"trouble": "hang"}), lab.access)
        )
        others = {process_of(process), await lab.spare()}
        (looker,) = await until(lambda: set(server.children()) - others, "the check's process")
        server.kill()
        with pytest.raises(Unavailable):
            await pending
        before = lab.rounds(job)
        await until(lambda: lab.rounds(job) > before + 5, "more rounds", job)
        assert process.id.startswith("fork:")
        other = ForkLauncher("none", None, threads=1, tracking_uri="")
        found = await other.find(process.id)  # as a service that started again would
        assert found is not None
        found.kill()
        assert await found.ended() is None
        found.release()
        assert await process.ended() is None
        process.release()
        assert await other.find(process.id) is None
        assert await other.find("fork:1:1") is None
        assert await other.find("ray:1") is None
        await until(lambda: gone(looker), "the check to end although its fork server is gone")
        await until(lab.launcher.warm, "the next fork server", seconds=START_SECONDS)
        assert (await lab.launcher.check(lab.request(), lab.access)).errors == ()

    in_lab(test, check_seconds=3.0)


def test_a_fork_server_that_hangs_is_replaced_and_its_runs_go_on(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job()
        process = await lab.launch(job)
        await lab.training(job)
        server = lab.fork_server()
        server.suspend()
        with pytest.raises(Unavailable, match="did not answer"):
            await lab.launcher.check(lab.request("harsh"), lab.access)
        await until(lambda: not server.is_running(), "the end of the server that hangs")
        before = lab.rounds(job)
        await until(lambda: lab.rounds(job) > before + 5, "more rounds", job)
        await until(lab.launcher.warm, "the next fork server", seconds=START_SECONDS)
        assert (await lab.launcher.check(lab.request(), lab.access)).errors == ()
        process.kill()
        assert await process.ended() is None
        process.release()

    in_lab(test, check_seconds=1.0)


def test_a_fork_server_that_answers_again_is_kept(in_lab: Callable[..., Any]) -> None:
    async def test(lab: Lab) -> None:
        server = lab.fork_server()
        server.suspend()
        with pytest.raises(Unavailable, match="did not answer"):
            await lab.launcher.check(lab.request("harsh"), lab.access)
        server.resume()
        doubt = lab.launcher._server._doubt
        assert doubt is not None
        await doubt
        assert (await lab.launcher.check(lab.request("harsh"), lab.access)).errors == ()
        assert lab.fork_server().pid == server.pid

    in_lab(test, check_seconds=1.0)


def test_a_fork_server_that_does_not_get_warm_is_unavailable_within_the_limit(
    home: Path,
) -> None:
    async def test() -> None:
        launcher = ForkLauncher(
            "trainyard_boosting",
            None,
            threads=1,
            tracking_uri="",
            warm_seconds=0.2,
            python="/bin/false",
        )
        await launcher.start()
        lab = Lab(home, launcher)
        try:
            async with asyncio.timeout(5):
                with pytest.raises(Unavailable):
                    await lab.launcher.check(lab.request(), lab.access)
                with pytest.raises(Unavailable):
                    await lab.launch(lab.job())
        finally:
            await launcher.stop()

    asyncio.run(test())


def test_a_process_that_cannot_start_says_why_and_a_model_that_is_gone_is_refused(
    in_lab: Callable[..., Any],
) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job(environment={"NOT=A=NAME": "x"})
        process = await lab.launch(job)
        assert await process.ended() == 70
        process.release()
        assert "ValueError" in RunFolder(job.folder).log.read_text()
        with pytest.raises(LaunchRefused, match="gone"):
            await lab.launch(lab.job("gone"))

    in_lab(test)


def test_nothing_grows_over_many_runs(in_lab: Callable[..., Any]) -> None:
    async def test(lab: Lab) -> None:
        launcher = lab.launcher
        files = psutil.Process().num_fds()
        server = lab.fork_server()
        await lab.spare()
        its_files = server.num_fds()
        listeners = []
        for _ in range(10):
            job = lab.job()
            process = await lab.launch(job)
            listeners.append(weakref.ref(process))
            process.kill()
            await process.ended()
            process.release()
        del process
        gc.collect()
        assert [each() for each in listeners] == [None] * 10
        assert not launcher._processes
        assert not launcher._lines._seats
        assert not launcher._server._waiting
        await until(lambda: psutil.Process().num_fds() <= files, "as few open files")
        await lab.spare()
        assert server.num_fds() == its_files

    in_lab(test)


def test_nothing_is_left_when_the_launcher_stops(home: Path) -> None:
    async def test() -> list[psutil.Process]:
        lab = await opened(home)
        job = lab.job()
        process = await lab.launch(job)
        await lab.training(job)
        left = [lab.fork_server(), process_of(process), await lab.spare()]
        await lab.launcher.stop()
        return left

    _, alive = psutil.wait_procs(asyncio.run(test()), timeout=5)
    assert not alive
