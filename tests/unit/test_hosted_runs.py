"""What a host does with a service's orders, and when it ends the runs of a service that it does not hear of."""

import asyncio
import errno
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeLauncher, FakeProcess, asked_for, job_of, submission_of
from trainyard.contract import Phase, Placement, Reason, RunStatus
from trainyard.datasets.access import DataAccess
from trainyard.errors import LaunchRefused, Unavailable
from trainyard.host import hosted_run, neighbours
from trainyard.host.folders import HostFolders
from trainyard.host.hosted_run import UNREAD_SECONDS, HostedRun
from trainyard.host.hosted_runs import NEVER_SECONDS, HostedRuns, as_on
from trainyard.launcher.host_messages import (
    NO_EVENT,
    Beat,
    Beaten,
    Done,
    Find,
    Follow,
    News,
    NotStarted,
    Offer,
    Open,
    Owned,
    Put,
    Release,
    Signal,
    Start,
    Tell,
    Unknown,
)
from trainyard.launcher.messages import Gather, Gathered, Job, Share
from trainyard.launcher.protocol import Listener, Process
from trainyard.rundir.folder import RunFolder
from trainyard.supervisor.decision import ended_by
from virtual_time import VirtualLoop

ID = "node:n1:0001"
PLACE = Placement(host="here", address="10.0.0.1", node="n1")
LEASE_SECONDS = 60.0
SIZES = {"training.log": 0, "metrics.jsonl": 0}


class Host:
    """One host, over processes that do what the test says."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.home = home
        self.launcher = FakeLauncher()
        self.runs = HostedRuns(
            self.launcher,
            Offer(placement=PLACE, slots=2, cpus=2),
            HostFolders(home / "hosted", "n1"),
            as_here=lambda job: as_on(
                job,
                access=DataAccess((), Path("/of/here"), memory_mb=7),
                left_for_data=lambda limit_mb: limit_mb - 1,
                tracking_uri="http://here",
                locks=home,
            ),
            clock=clock,
        )

    @property
    def process(self) -> FakeProcess:
        return self.launcher.machine.processes[-1]

    async def beat(self, heard: int = 0, owner: str = "me") -> Beaten | Owned:
        order = Beat(owner=owner, heard=heard, lease_seconds=LEASE_SECONDS)
        answer = await self.runs.carry_out(order)
        assert isinstance(answer, Beaten | Owned)
        return answer

    async def begin(self, process_id: str = ID) -> None:
        assert (
            await self.runs.carry_out(Open(process_id=process_id, submission=SUBMISSION)) == Done()
        )
        assert await self.runs.carry_out(Start(process_id=process_id, job=job())) == Done()

    async def follow(self, heard: int = 0, **sizes: int) -> News:
        named = {name.replace("_", "."): size for name, size in sizes.items()}
        order = Follow(process_id=ID, sizes=SIZES | named, heard=heard, wait_seconds=0.0)
        news = await self.runs.carry_out(order)
        assert isinstance(news, News)
        return news


SUBMISSION = submission_of(asked_for())


def job() -> Job:
    return job_of(process_id=ID, placement=(PLACE,))


def orders_of_a_start() -> dict[str, Open | Put | Start]:
    """What brings a run to the host, in their order."""
    return {
        "open": Open(process_id=ID, submission=SUBMISSION),
        "put": Put(process_id=ID, name="metrics.jsonl", offset=0, data=b"x"),
        "start": Start(process_id=ID, job=job()),
    }


@pytest.fixture
def on_host(tmp_path: Path) -> Callable[[Callable[[Host], Awaitable[None]]], None]:
    """Runs a test on a host of its own."""

    def run(test: Callable[[Host], Awaitable[None]]) -> None:
        async def whole() -> None:
            await test(Host(tmp_path))

        asyncio.run(whole())

    return run


def test_what_a_process_tells_and_writes_is_told_once_each_place(on_host) -> None:
    async def test(host: Host) -> None:
        await host.begin()
        assert host.process.job.tracking_uri == "http://here"
        assert host.process.job.access.memory_mb == 7
        folder = host.process.job.folder
        host.process.enter(Phase.TRAINING)
        host.process.progress(1, train_log_loss=0.5)
        with (folder / "training.log").open("a") as log:
            log.write("one\n")
        first = await host.follow()
        assert [type(each).__name__ for each in first.events] == ["PhaseEntered", "Progressed"]
        (piece,) = first.pieces
        assert piece.data == f"runs on {PLACE}\none\n".encode()
        again = await host.follow(heard=2, training_log=len(piece.data))
        assert (again.events, again.pieces, again.ended) == ((), (), None)
        host.process.finish(test_accuracy=0.5)
        await asyncio.sleep(0)
        last = await host.follow(heard=2, training_log=len(piece.data))
        assert last.ended is not None
        assert last.ended.outcome is not None
        assert (last.ended.code, last.ended.outcome.status) == (0, RunStatus.FINISHED)
        assert last.used.peak_memory_mb == 100

    on_host(test)


def test_the_end_is_not_told_before_all_that_was_written(on_host) -> None:
    async def test(host: Host) -> None:
        await host.begin()
        (host.process.job.folder / "metrics.jsonl").write_text("[1, 2, {}]\n")
        host.process.finish()
        await asyncio.sleep(0)
        first = await host.follow()
        assert first.ended is None
        sizes = {each.name.replace(".", "_"): len(each.data) for each in first.pieces}
        assert (await host.follow(**sizes)).ended is not None

    on_host(test)


def test_a_log_that_was_cut_begins_again(on_host) -> None:
    async def test(host: Host) -> None:
        await host.begin()
        (host.process.job.folder / "training.log").write_text("short")
        (piece,) = (await host.follow(training_log=1000)).pieces
        assert (piece.offset, piece.data) == (0, b"short")

    on_host(test)


def test_a_service_that_takes_a_run_up_is_told_how_it_stands_and_not_its_history(on_host) -> None:
    async def test(host: Host) -> None:
        await host.begin()
        for phase in (Phase.LOADING_DATA, Phase.TRAINING):
            host.process.enter(phase)
        host.process.note("long ago")
        host.process.progress(5)
        news = await host.follow(heard=NO_EVENT)
        assert [each.sequence for each in news.events] == [2, 4]

    on_host(test)


def test_orders_that_come_twice_or_late_do_no_more_than_once(on_host) -> None:
    async def test(host: Host) -> None:
        await host.begin()
        await host.begin()
        assert len(host.launcher.machine.processes) == 1
        late = Put(process_id=ID, name="training.log", offset=0, data=b"x")
        assert await host.runs.carry_out(late) == Unknown(), "the process writes it by now"
        for _ in range(2):
            assert await host.runs.carry_out(Release(process_id=ID)) == Done()
        assert host.process.released == 1
        assert await host.runs.carry_out(Open(process_id=ID, submission=SUBMISSION)) == Unknown()
        assert await host.runs.carry_out(Start(process_id=ID, job=job())) == Unknown()
        assert not host.process.job.folder.exists()

    on_host(test)


def test_a_process_that_was_asked_for_and_not_found_is_never_started(on_host) -> None:
    async def test(host: Host) -> None:
        assert await host.runs.carry_out(Find(process_id=ID)) == Unknown()
        assert await host.runs.carry_out(Open(process_id=ID, submission=SUBMISSION)) == Unknown()
        await host.begin("node:n1:0002")
        assert await host.runs.carry_out(Find(process_id="node:n1:0002")) == Done()

    on_host(test)


@pytest.mark.parametrize(
    ("error", "for_good"), [(LaunchRefused("no such model"), True), (Unavailable("cold"), False)]
)
def test_what_could_not_be_started_leaves_nothing(
    on_host, error: Exception, for_good: bool
) -> None:
    async def test(host: Host) -> None:
        host.launcher.launch_errors.append(error)
        await host.runs.carry_out(Open(process_id=ID, submission=SUBMISSION))
        answer = await host.runs.carry_out(Start(process_id=ID, job=job()))
        assert isinstance(answer, NotStarted)
        assert answer.for_good is for_good
        heard = await host.beat()
        assert isinstance(heard, Beaten)
        assert heard.holds == ()
        await host.begin()  # the same, once it works

    on_host(test)


@pytest.mark.parametrize("order", ["open", "put", "start"])
def test_a_full_disk_is_told_and_leaves_nothing_and_the_same_run_is_started_once_there_is_room(
    on_host, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = orders_of_a_start()

    async def test(host: Host) -> None:
        if order != "open":
            await host.runs.carry_out(what["open"])
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", full)
            answers = [await host.runs.carry_out(what[order]) for _ in range(2)]
        again = NotStarted(**told) if order == "open" else Unknown()
        assert answers == [NotStarted(**told), again]
        heard = await host.beat()
        assert isinstance(heard, Beaten)
        assert heard.holds == ()
        assert not [*host.home.glob("hosted/n1/*"), *host.home.glob("hosted/n1/.*")]
        await host.begin()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    detail = "what it needs cannot be written: [Errno 28] No space left on device"
    told: dict[str, Any] = {"detail": detail, "for_good": False}
    on_host(test)


def test_what_is_released_while_its_folder_is_made_leaves_nothing(on_host) -> None:
    async def test(host: Host) -> None:
        opening = asyncio.create_task(
            host.runs.carry_out(Open(process_id=ID, submission=SUBMISSION))
        )
        await asyncio.sleep(0)
        await host.runs.carry_out(Release(process_id=ID))
        assert await opening == Unknown()
        assert not [*host.home.glob("hosted/n1/*")]

    on_host(test)


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_released_while_it_starts_leaves_nothing_whatever_it_writes_meanwhile(
    on_host, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(host: Host) -> None:
        forked, told = asyncio.Event(), asyncio.Event()
        launch = host.launcher.launch

        async def slow(job: Job, listener: Listener) -> Process:
            forked.set()
            await told.wait()
            job.folder.mkdir(exist_ok=True)  # as what removes it meets a file that is new
            (job.folder / "checkpoints").mkdir()
            if fails:
                raise Unavailable("nobody has told how it began")
            return await launch(job, listener)

        monkeypatch.setattr(host.launcher, "launch", slow)
        await host.runs.carry_out(Open(process_id=ID, submission=SUBMISSION))
        starting = asyncio.create_task(host.runs.carry_out(Start(process_id=ID, job=job())))
        await forked.wait()
        assert await host.runs.carry_out(Release(process_id=ID)) == Done()
        told.set()
        assert await starting == Unknown()
        assert not [*host.home.glob("hosted/n1/*")]
        assert [each.released for each in host.launcher.machine.processes] == [1] * (not fails)

    on_host(test)


def test_a_search_is_told_to_end_once_a_full_disk_has_room_and_is_heard_of_before(
    on_host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def test(host: Host) -> None:
        await host.begin()
        order = Follow(process_id=ID, sizes={}, heard=0, wait_seconds=0.0, end_search=True)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "touch", full)
            assert isinstance(await host.runs.carry_out(order), News)
        await host.runs.carry_out(order)
        assert RunFolder(host.process.job.folder).end_of_search.exists()

    on_host(test)


def test_a_process_is_signalled_and_one_that_is_not_there_is_not(on_host) -> None:
    async def test(host: Host) -> None:
        assert await host.runs.carry_out(Signal(process_id=ID, kill=True)) == Unknown()
        await host.begin()
        assert await host.runs.carry_out(Signal(process_id=ID, kill=False)) == Done()
        assert host.process.asked_to_stop == 1

    on_host(test)


def test_what_a_rank_gives_to_all_is_told_again_until_the_service_has_it_and_so_is_the_answer(
    on_host,
) -> None:
    async def test(host: Host) -> None:
        shares = (Share(threads=1), Share(threads=1))
        ranks = job().model_copy(update={"shares": shares, "placement": (PLACE, PLACE), "rank": 1})
        await host.runs.carry_out(Open(process_id=ID, submission=SUBMISSION))
        assert await host.runs.carry_out(Start(process_id=ID, job=ranks)) == Done()
        meeting, said = host.launcher.meetings[0], list[Gathered]()
        meeting.seat(1, said.append)
        given = Gather(key="1 the start", value="x")
        for _ in range(2):
            meeting.take(1, given)
        for _ in range(2):
            assert (await host.follow()).given == (given,)
        order = Follow(process_id=ID, sizes={}, heard=0, wait_seconds=0.0, given=1)
        news = await host.runs.carry_out(order)
        assert isinstance(news, News)
        assert news.given == ()
        answer = Gathered(key="1 the start", values=("y", "x"))
        assert await host.runs.carry_out(Tell(process_id=ID, answer=answer)) == Done()
        meeting.take(1, given)  # its line was taken up again
        assert said == [answer, answer]
        log = (host.process.job.folder / "training.log").read_text()
        assert log == f"[rank 1] runs on {PLACE}\n"

    on_host(test)


def test_the_outcome_of_a_rank_is_its_own(on_host) -> None:
    async def test(host: Host) -> None:
        shares = (Share(threads=1), Share(threads=1))
        ranks = job().model_copy(update={"shares": shares, "placement": (PLACE, PLACE), "rank": 1})
        await host.runs.carry_out(Open(process_id=ID, submission=SUBMISSION))
        await host.runs.carry_out(Start(process_id=ID, job=ranks))
        own = RunFolder(host.process.job.folder).of_rank(1)
        own.path.mkdir()
        own.write_outcome(ended_by(Reason.OUT_OF_MEMORY, "no room"))
        host.process.exit(0)
        await asyncio.sleep(0)
        (piece,) = (await host.follow()).pieces
        ended = (await host.follow(training_log=len(piece.data))).ended
        assert ended is not None
        assert ended.outcome is not None
        assert ended.outcome.message == "no room"

    on_host(test)


@pytest.mark.parametrize(
    ("search", "phase", "needs_it"),
    [
        ({"trials": 2, "space": {"rounds": [1, 2]}}, Phase.SEARCHING, True),
        ({"trials": 2, "space": {"rounds": [1, 2]}}, Phase.TRAINING, False),
        (None, Phase.TRAINING, True),
        (None, Phase.EVALUATING, False),
    ],
)
def test_a_rank_is_ended_whose_host_does_not_reach_that_of_another_while_it_needs_it(
    on_host, search: dict[str, Any] | None, phase: Phase, needs_it: bool, monkeypatch
) -> None:
    async def reaches(_: str) -> bool:
        await asyncio.sleep(0)
        return False

    monkeypatch.setattr(neighbours, "_reaches", reaches)
    for name in ("LOOK", "CUT"):
        monkeypatch.setattr(neighbours, f"{name}_SECONDS", 0.05)

    async def test(host: Host) -> None:
        asked = submission_of(asked_for(search=search))
        of_rank = job().model_copy(update={"submission": asked, "neighbours": ("240.0.0.1:9",)})
        await host.runs.carry_out(Open(process_id=ID, submission=asked))
        assert await host.runs.carry_out(Start(process_id=ID, job=of_rank)) == Done()
        host.process.enter(phase)
        watch = host.runs._runs[ID]._reaching
        assert watch is not None
        await asyncio.wait({watch})
        assert host.process.killed == needs_it
        host.process.finish()
        await asyncio.sleep(0)
        piece = len((host.process.job.folder / "training.log").read_bytes())
        ended = (await host.follow(training_log=piece)).ended
        assert ended is not None
        assert ended.cut_from == ("240.0.0.1" if needs_it else None)

    on_host(test)


def test_files_that_no_run_has_are_not_written(on_host) -> None:
    async def test(host: Host) -> None:
        await host.runs.carry_out(Open(process_id=ID, submission=SUBMISSION))
        for name in ("../x", "outcome.json"):
            order = Put(process_id=ID, name=name, offset=0, data=b"x")
            assert await host.runs.carry_out(order) == Unknown()

    on_host(test)


# The lease


def in_no_time(home: Path, test: Callable[[Host], Awaitable[None]]) -> None:
    """The test in virtual time, with the host's own watch."""
    loop = VirtualLoop()

    async def whole() -> None:
        host = Host(home, loop.time)
        keeper = asyncio.create_task(host.runs.keep())
        await test(host)
        keeper.cancel()

    loop.do(whole())
    loop.bury()


def test_runs_end_when_their_service_is_not_heard_of_and_not_before(tmp_path: Path) -> None:
    async def test(host: Host) -> None:
        await host.beat()
        await host.begin()
        await asyncio.sleep(LEASE_SECONDS - 1)
        assert host.process.runs
        await asyncio.sleep(2)
        assert not host.process.runs

    in_no_time(tmp_path, test)


def test_a_beat_counts_from_the_answer_that_it_says_was_heard(tmp_path: Path) -> None:
    async def test(host: Host) -> None:
        first = await host.beat()
        assert isinstance(first, Beaten)
        await host.begin()
        await asyncio.sleep(30)
        second = await host.beat(first.number)
        assert isinstance(second, Beaten)
        await asyncio.sleep(25)
        await host.beat(first.number)  # one that was long under way
        await asyncio.sleep(10)
        assert not host.process.runs, "nobody has heard of this host since the first answer"

        newest = await host.beat()
        await host.begin("node:n1:0002")
        for _ in range(5):
            assert isinstance(newest, Beaten)
            newest = await host.beat(newest.number)
            await asyncio.sleep(LEASE_SECONDS / 2)
        assert host.process.runs

    in_no_time(tmp_path, test)


def test_a_lease_that_is_given_again_is_whole(tmp_path: Path) -> None:
    async def test(host: Host) -> None:
        before = await host.beat()
        assert isinstance(before, Beaten)
        await asyncio.sleep(LEASE_SECONDS * 2)
        again = await host.beat(before.number)
        assert isinstance(again, Beaten)
        assert again.lease_left_seconds == LEASE_SECONDS
        await host.begin()
        await asyncio.sleep(LEASE_SECONDS - 1)
        assert host.process.runs

    in_no_time(tmp_path, test)


def test_a_host_serves_one_service_at_a_time(tmp_path: Path) -> None:
    async def test(host: Host) -> None:
        await host.beat(owner="me")
        assert await host.beat(owner="another") == Owned(owner="me")
        await asyncio.sleep(LEASE_SECONDS + 1)
        assert isinstance(await host.beat(owner="another"), Beaten)

    in_no_time(tmp_path, test)


# What an earlier actor of this host left


def test_what_an_earlier_actor_left_is_ended_and_removed(tmp_path: Path) -> None:
    left = tmp_path / "hosted/n0/0001"
    left.mkdir(parents=True)
    (left / "process_id").write_text("fork:1:1")
    ended: list[str] = []

    async def find(process_id: str) -> Process | None:
        ended.append(process_id)
        await asyncio.sleep(0)
        return None

    asyncio.run(HostFolders(tmp_path / "hosted", "n1").take(find))
    assert ended == ["fork:1:1"]
    assert not left.parent.exists()


def test_what_another_actor_has_is_left_alone(tmp_path: Path) -> None:
    async def find(process_id: str) -> Process | None:
        raise AssertionError(process_id)

    async def both() -> None:
        other = HostFolders(tmp_path / "hosted", "n0")
        await other.take(find)
        run = other.of("node:n0:0001").path
        run.mkdir()
        (run / "process_id").write_text("fork:1:1")
        await HostFolders(tmp_path / "hosted", "n1").take(find)
        assert run.exists()

    asyncio.run(both())


def test_hosts_that_share_a_volume_and_start_at_once_have_a_folder_each(tmp_path: Path) -> None:
    """One removed that of the other, which had made it and not taken it yet, and was given no runs for ever."""

    async def find(_: str) -> Process | None:
        return None

    slow = HostFolders(tmp_path / "hosted", "n0")
    asyncio.run(HostFolders(tmp_path / "hosted", "n1").take(find))
    asyncio.run(slow.take(find))
    assert slow.own.is_dir()


# What breaks on the host


@pytest.mark.parametrize(
    ("kills", "number", "for_memory"),
    [(1, signal.SIGKILL, True), (0, signal.SIGKILL, False), (1, signal.SIGSEGV, False)],
)
def test_a_kill_for_memory_is_counted_where_the_process_runs(
    on_host, kills: int, number: signal.Signals, for_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = [7, 7 + kills]
    monkeypatch.setattr(hosted_run, "oom_kills", lambda: counted.pop(0))

    async def test(host: Host) -> None:
        await host.begin()
        await asyncio.sleep(0)
        host.process.die(number)
        await asyncio.sleep(0)
        had = (host.process.job.folder / "training.log").stat().st_size
        ended = (await host.follow(training_log=had)).ended
        assert ended is not None
        assert (ended.code, ended.for_memory) == (-number, for_memory)

    on_host(test)


def test_what_is_never_to_be_started_is_known_for_as_long_as_an_order_may_take(
    tmp_path: Path,
) -> None:
    """An id a run for ever was a little more memory with each."""

    async def test(host: Host) -> None:
        for number in range(3):
            await host.runs.carry_out(Release(process_id=f"node:n1:{number}"))
            await asyncio.sleep(NEVER_SECONDS * 0.6)
        opened = Open(process_id="node:n1:1", submission=SUBMISSION)
        assert await host.runs.carry_out(opened) == Unknown()
        assert host.runs._never.keys() == {"node:n1:1", "node:n1:2"}

    in_no_time(tmp_path, test)


@pytest.mark.parametrize("order", ["open", "put", "start"])
def test_whatever_keeps_a_run_from_being_started_is_told_and_leaves_nothing(
    on_host, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service asked again and again, and heard neither a cancel nor the run's time-out meanwhile."""
    what = orders_of_a_start()
    to_thread = asyncio.to_thread
    tries = [RuntimeError("can't start new thread")]

    async def no_thread_at_first(*call: Any) -> Any:
        if tries:
            raise tries.pop()
        return await to_thread(*call)

    async def test(host: Host) -> None:
        if order != "open":
            await host.runs.carry_out(what["open"])
        monkeypatch.setattr(asyncio, "to_thread", no_thread_at_first)
        answer = await host.runs.carry_out(what[order])
        assert answer == NotStarted(detail="RuntimeError: can't start new thread", for_good=False)
        heard = await host.beat()
        assert isinstance(heard, Beaten)
        assert (heard.holds, heard.complaint) == ((), "")
        await host.begin()

    on_host(test)


def test_a_host_takes_no_run_for_a_while_after_its_disk_was_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a quota, which shows in no other way. The service tried it with each run, which lost seconds."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    async def complaint(host: Host) -> str:
        heard = await host.beat()
        assert isinstance(heard, Beaten)
        return heard.complaint

    async def test(host: Host) -> None:
        assert not await complaint(host)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", full)
            await host.runs.carry_out(Open(process_id=ID, submission=SUBMISSION))
        assert await complaint(host) == "its disk is full: [Errno 122] Disk quota exceeded"
        await asyncio.sleep(LEASE_SECONDS - 1)
        assert not await complaint(host)

    in_no_time(tmp_path, test)


def test_the_end_is_told_also_where_what_was_written_cannot_be_read_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def test(host: Host) -> None:
        await host.beat()
        await host.begin()
        host.process.finish()
        await asyncio.sleep(0.1)
        monkeypatch.setattr(HostedRun, "_pieces", broken)
        for _ in range(2):
            assert (await host.follow()).ended is None
            await asyncio.sleep(UNREAD_SECONDS * 0.6)
        news = await host.follow()
        assert news.ended
        assert news.ended.outcome
        assert news.ended.outcome.status is RunStatus.FINISHED

    in_no_time(tmp_path, test)


def test_an_outcome_that_cannot_be_read_for_a_moment_is_not_told_as_none(on_host) -> None:
    async def test(host: Host) -> None:
        await host.begin()
        host.process.finish()
        await asyncio.sleep(0.1)
        outcome = host.process.job.folder / "outcome.json"
        whole = outcome.read_bytes()
        had = (host.process.job.folder / "training.log").stat().st_size
        outcome.write_bytes(b"")
        assert (await host.follow(training_log=had)).ended is None
        outcome.write_bytes(whole)
        news = await host.follow(training_log=had)
        assert news.ended
        assert news.ended.outcome

    on_host(test)


def test_runs_whose_lease_is_over_are_cleared_away_also_where_that_fails_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = HostedRuns._release
    tries = [RuntimeError("can't start new thread")]

    async def fails_at_first(runs: HostedRuns, process_id: str) -> Done:
        if tries:
            raise tries.pop()
        return await release(runs, process_id)

    async def test(host: Host) -> None:
        await host.beat()
        await host.begin()
        monkeypatch.setattr(HostedRuns, "_release", fails_at_first)
        await asyncio.sleep(LEASE_SECONDS + 5)
        assert not tries
        heard = await host.beat(owner="another")
        assert isinstance(heard, Beaten)
        assert heard.holds == ()

    in_no_time(tmp_path, test)
