"""The launcher over other hosts, by itself: a real bridge process, a real fork server behind it, and no Ray."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fakes import FakeLauncher, job_of, submission_of
from loopback_bridge import NODE
from servers import MODELS, ROOT, START_SECONDS
from trainyard.contract import Phase, Placement, TrainRequest
from trainyard.errors import HostLost, LaunchRefused, Unavailable
from trainyard.launcher.host_messages import Offer
from trainyard.launcher.messages import Job, PhaseEntered, Progressed, Share
from trainyard.launcher.process_id import id_of_all, ids_of_each, new_id_on
from trainyard.launcher.remote_launcher import RemoteLauncher
from trainyard.rundir.folder import RunFolder
from trainyard.supervisor.ranks import outcomes_of

LEASE_SECONDS = 5.0
LOUD = (
    MODELS.replace('"ticking"', '"loud"')
    .replace("ticking = Ticking()", "loud = Ticking()")
    .replace('print(f"from round {first}", flush=True)', 'print("x" * 3_000_000, flush=True)')
)


class Lab:
    """A launcher over one host, and what a supervisor would have."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.offers: dict[str, Offer] = {}
        self.heard: list[Any] = []
        self.launcher = RemoteLauncher(
            FakeLauncher(),
            bridge=[str(ROOT / "tests/loopback_bridge.py"), str(home)],
            owner=lambda: "me",
            lease_file=home / "lease",
            lease_seconds=LEASE_SECONDS,
            on_offers=self._offered,
        )

    def _offered(self, offers: Any, _: Any) -> None:
        self.offers = dict(offers)

    def job(self, model: str = "ticking", *, workers: int = 1, **params: Any) -> Job:
        run_id = uuid.uuid4().hex
        request = {"model": model, "data": {"source": "builtin", "name": "iris"}, "params": params}
        submission = submission_of(TrainRequest.model_validate(request), run_id)
        (self.home / "runs").mkdir(exist_ok=True)
        folder = RunFolder(self.home / "runs" / run_id)
        folder.create(submission)
        return job_of(
            submission,
            folder=folder.path,
            process_id=id_of_all(new_id_on(NODE) for _ in range(workers)),
            placement=(Placement(host="loopback", address="127.0.0.1", node=NODE),) * workers,
            shares=(Share(threads=1),) * workers if workers > 1 else (),
        )

    async def counting(self, job: Job) -> Any:
        """The job's process, after its first rounds."""
        self.heard = []
        process = await self.launcher.launch(job, self.heard.append)
        await until(lambda: self.rounds() > 2, "rounds", self.log(job))
        return process

    async def is_back(self, process: Any) -> None:
        """The host is heard of again, which has nothing of the process any more."""
        self.silent(silent=False)
        process.release()
        await until(lambda: self.offers, "the host to be back")

    def rounds(self) -> int:
        return max((each.done for each in self.heard if isinstance(each, Progressed)), default=0)

    def log(self, job: Job) -> Callable[[], str]:
        return lambda: (job.folder / "training.log").read_text()[-2000:]

    def pid(self) -> int:
        """Of the process that was started last."""
        files = sorted(
            self.home.glob("hosted/*/*/process_id"), key=lambda each: each.stat().st_mtime
        )
        return int(files[-1].read_text().split(":")[1])

    def pids(self, process_id: str) -> list[int]:
        """Of the processes of all ranks, in their order."""
        nonces = [each.rpartition(":")[2] for each in ids_of_each(process_id)]
        files = [self.home / "hosted" / NODE / each / "process_id" for each in nonces]
        return [int(file.read_text().split(":")[1]) for file in files]

    def silent(self, *, silent: bool) -> None:
        flag = self.home / "silent"
        flag.touch() if silent else flag.unlink()


async def until(condition: Callable[[], Any], what: str, explain: Callable[[], str] = str) -> Any:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        await asyncio.sleep(0.02)
    return pytest.fail(f"waited for {what}\n{explain()}")


@pytest.fixture(scope="module")
def in_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., None]]:
    """Runs a test beside a launcher whose host is warm; one for all of these tests."""
    home = tmp_path_factory.mktemp("remote")
    (home / "models").mkdir()
    (home / "models/ticking.py").write_text(MODELS)
    (home / "models/loud.py").write_text(LOUD)
    with asyncio.Runner() as runner:
        lab = Lab(home)

        def run(test: Callable[[Lab], Awaitable[None]]) -> None:
            async def whole() -> None:
                await until(lambda: lab.offers, "the host to be warm")
                await test(lab)

            runner.run(whole())

        runner.run(lab.launcher.start())
        yield run
        runner.run(lab.launcher.stop())


def test_what_a_run_tells_and_writes_elsewhere_is_here(in_lab):
    async def test(lab: Lab) -> None:
        job = lab.job(rounds=5)
        process = await lab.counting(job)
        assert process.id == job.process_id
        assert await process.ended() == 0
        outcome = RunFolder(job.folder).outcome()
        assert outcome is not None
        assert outcome.message == "RuntimeError: counted to the end"
        phases = [each.phase for each in lab.heard if isinstance(each, PhaseEntered)]
        assert phases == [Phase.LOADING_DATA, Phase.TRAINING]
        assert lab.rounds() == 5
        assert len((job.folder / "metrics.jsonl").read_text().splitlines()) == 5
        log = (job.folder / "training.log").read_text()
        assert log.startswith("runs on loopback (127.0.0.1, node n1)\n")
        assert process.used.cpu_seconds
        process.release()
        await until(lambda: not [*lab.home.glob("hosted/*/*/")], "its folder there to be removed")

    in_lab(test)


def test_a_log_is_brought_whole_however_long_it_is(in_lab):
    async def test(lab: Lab) -> None:
        job = lab.job("loud", rounds=3)
        process = await lab.launcher.launch(job, lab.heard.append)
        await process.ended()
        assert "x" * 3_000_000 in (job.folder / "training.log").read_text()
        process.release()

    in_lab(test)


def test_another_process_of_a_run_goes_on_where_the_files_of_the_first_ended(in_lab):
    async def test(lab: Lab) -> None:
        job = lab.job(rounds=5)
        (job.folder / "training.log").write_text("y" * 1_500_000 + "\n")
        (job.folder / "metrics.jsonl").write_text('[7, 1, {"train_log_loss": 0.5}]\n')
        process = await lab.launcher.launch(job, lab.heard.append)
        await process.ended()
        log = (job.folder / "training.log").read_text()
        assert log.startswith("y" * 1_500_000 + "\nruns on loopback")
        kept = (job.folder / "metrics.jsonl").read_text().split()
        assert kept[0] == "[7,"
        process.release()

    in_lab(test)


def test_ranks_elsewhere_meet_are_one_process_and_write_one_log(in_lab):
    async def test(lab: Lab) -> None:
        job = lab.job(rounds=5, workers=3)
        process = await lab.counting(job)
        assert process.id == job.process_id
        await process.ended()
        assert sorted(end.rank for end in process.ranks) == [0, 1, 2]
        log = (job.folder / "training.log").read_text().splitlines()
        for rank in range(3):
            assert f"[rank {rank}] runs on loopback (127.0.0.1, node n1)" in log
            assert f"[rank {rank}] from round 0" in log
        left = outcomes_of(RunFolder(job.folder))
        first = process.ranks[0].rank
        assert left[first].message == "RuntimeError: counted to the end"
        assert not left[first].log_uploaded
        process.release()
        await until(lambda: not [*lab.home.glob("hosted/*/*/")], "their folders to be removed")

    in_lab(test)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_elsewhere_ends_the_other(in_lab, rank: int):
    async def test(lab: Lab) -> None:
        process = await lab.counting(lab.job(workers=2))
        pids = await until(lambda: lab.pids(process.id), "both")
        os.kill(pids[rank], signal.SIGKILL)
        await process.ended()
        assert [end.rank for end in process.ranks if end.failed] == [rank]
        assert not [pid for pid in pids if psutil.pid_exists(pid)]
        process.release()

    in_lab(test)


def test_ranks_on_a_host_that_is_silent_are_missed_and_rank_0_is_waited_for(in_lab):
    async def test(lab: Lab) -> None:
        process = await lab.counting(lab.job(workers=2))
        pids = lab.pids(process.id)
        lab.silent(silent=True)
        await process.ended()
        assert {end.lost_with for end in process.ranks} == {"loopback (127.0.0.1)"}
        assert not psutil.pid_exists(pids[0])
        await lab.is_back(process)

    in_lab(test)


def test_a_later_service_takes_all_ranks_up_or_ends_those_that_are_left(in_lab):
    async def test(lab: Lab) -> None:
        job = lab.job(workers=2)
        process = await lab.counting(job)
        process.let_go()
        again = await lab.launcher.take_up(process.id, job.folder, lab.heard.append)
        assert again is not None
        before = lab.rounds()
        await until(lambda: lab.rounds() > before, "more rounds")
        again.let_go()

        pids = lab.pids(process.id)
        broken = id_of_all([ids_of_each(process.id)[0], new_id_on(NODE)])
        assert await lab.launcher.take_up(broken, job.folder, lab.heard.append) is None
        assert not psutil.pid_exists(pids[0])
        left = await lab.launcher.find(process.id)
        assert left is not None
        left.kill()
        await left.ended()
        left.release()
        assert not psutil.pid_exists(pids[1])

    in_lab(test)


def test_ranks_are_started_all_or_none(in_lab):
    async def test(lab: Lab) -> None:
        job = lab.job(workers=2)
        second = ids_of_each(job.process_id)[1]
        assert await lab.launcher.find(second) is None  # so its host will never start it
        with pytest.raises(HostLost):
            await lab.launcher.launch(job, lab.heard.append)
        await until(lambda: not [*lab.home.glob("hosted/*/*/")], "nothing of it to be left")

    in_lab(test)


def test_a_host_that_cannot_write_says_so_instead_of_being_asked_again_and_again(in_lab):
    async def test(lab: Lab) -> None:
        hosted, aside = lab.home / "hosted" / NODE, lab.home / "aside"
        hosted.rename(aside)
        hosted.touch()
        job = lab.job()
        try:
            with pytest.raises(Unavailable, match="cannot start it now: what it needs cannot be"):
                await lab.launcher.launch(job, lab.heard.append)
            with pytest.raises(HostLost, match="cannot start it now"):
                await lab.launcher.launch(lab.job(workers=2), lab.heard.append)
        finally:
            hosted.unlink()
            aside.rename(hosted)
        process = await lab.counting(job)
        process.kill()
        await process.ended()
        process.release()

    in_lab(test)


def test_a_host_whose_disk_is_full_is_given_no_runs_until_it_has_room_and_says_so(in_lab):
    async def test(lab: Lab) -> None:
        assert lab.launcher.complaints == {}
        (lab.home / "full").touch()
        try:
            await until(lambda: not lab.offers, "no offer of the full host")
            assert lab.launcher.complaints == {"loopback (127.0.0.1)": "its disk is full"}
        finally:
            (lab.home / "full").unlink()
        await until(lambda: lab.offers, "the offer of a host with room")
        assert lab.launcher.complaints == {}

    in_lab(test)


@pytest.mark.parametrize("stop", ["ask_to_stop", "kill"])
def test_a_run_elsewhere_is_stopped(in_lab, stop: str):
    async def test(lab: Lab) -> None:
        process = await lab.counting(lab.job())
        getattr(process, stop)()
        code = await process.ended()
        assert code == (-signal.SIGKILL if stop == "kill" else 75)
        process.release()

    in_lab(test)


def test_a_model_that_is_not_there_is_refused(in_lab):
    async def test(lab: Lab) -> None:
        with pytest.raises(LaunchRefused, match="nowhere"):
            await lab.launcher.launch(lab.job("nowhere"), lab.heard.append)

    in_lab(test)


def test_a_later_service_takes_the_process_up_and_an_unknown_one_is_gone(in_lab):
    async def test(lab: Lab) -> None:
        job = lab.job()
        process = await lab.counting(job)
        process.let_go()
        heard: list[Any] = []
        again = await lab.launcher.take_up(process.id, job.folder, heard.append)
        assert again is not None
        await until(lambda: len(heard) > 1, "events")
        newest = [each.sequence for each in heard]
        assert newest == sorted(newest)
        assert [each.phase for each in heard if isinstance(each, PhaseEntered)] == [Phase.TRAINING]
        again.kill()
        assert await again.ended() == -signal.SIGKILL
        again.release()
        assert await lab.launcher.find(new_id_on(NODE)) is None

    in_lab(test)


def test_a_short_silence_loses_nothing(in_lab):
    async def test(lab: Lab) -> None:
        job = lab.job()
        process = await lab.counting(job)
        lab.silent(silent=True)
        await until(lambda: not lab.offers, "the host to be missed")
        lab.silent(silent=False)
        before = lab.rounds()
        await until(lambda: lab.rounds() > before, "more rounds")
        sequences = [each.sequence for each in lab.heard]
        assert sequences == sorted(set(sequences))
        process.kill()
        assert await process.ended() == -signal.SIGKILL
        process.release()

    in_lab(test)


def test_a_host_that_is_silent_for_longer_has_ended_its_runs_before_they_count_as_lost(in_lab):
    async def test(lab: Lab) -> None:
        process = await lab.counting(lab.job())
        pid = lab.pid()
        lab.silent(silent=True)
        assert await process.ended() is None
        assert process.lost_with == "loopback (127.0.0.1)"
        assert not psutil.pid_exists(pid)
        await lab.is_back(process)

    in_lab(test)


def test_a_process_that_nobody_knows_is_ended(in_lab):
    async def test(lab: Lab) -> None:
        process = await lab.counting(lab.job())
        pid = lab.pid()
        process.let_go()
        lab.launcher.end_strays()
        await until(lambda: not psutil.pid_exists(pid), "it to be ended")

    in_lab(test)


def test_a_bridge_that_dies_is_started_again_and_what_its_host_no_longer_has_is_gone(in_lab):
    async def test(lab: Lab) -> None:
        process = await lab.counting(lab.job())
        bridge = lab.launcher.hosts._bridge._process
        assert bridge is not None
        bridge.kill()
        assert await process.ended() is None
        assert process.lost_with == "loopback (127.0.0.1)"
        process.release()
        await until(lambda: lab.offers, "another bridge")

    in_lab(test)
