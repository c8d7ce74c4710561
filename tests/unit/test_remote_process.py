"""The service's handle of a process on another host, where something stalls on either side."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes import FakeLauncher, job_of
from hosts_in_memory import HostInMemory, Lab, with_hosts
from trainyard.errors import HostLost, Unavailable
from trainyard.launcher import remote_process
from trainyard.launcher.host_messages import Done, Ended, Follow, HostAnswer, News
from trainyard.launcher.hosts import Hosts
from trainyard.launcher.kept_files import KeptFiles
from trainyard.launcher.protocol import Used
from trainyard.launcher.remote_gang import begin_all
from trainyard.launcher.remote_launcher import STRAYS_SECONDS, RemoteLauncher
from trainyard.launcher.remote_process import MISSED_SECONDS, PUT_SECONDS, RemoteProcess
from trainyard.rundir.folder import RunFolder
from virtual_time import VirtualLoop

LEASE_SECONDS = 60.0
ID = "node:a:0001"


class Heard:
    """Hosts that are heard of all the while, where one answers what the test says, or nothing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.answer: News | None = News(used=Used())

    async def ask(self, _: str, order: Follow, seconds: float) -> HostAnswer:
        await asyncio.sleep(order.wait_seconds if self.answer else seconds)
        if self.answer is None:
            raise Unavailable("silent")
        return self.answer

    def silent_seconds(self, heard_at: float) -> float:
        return self._clock() - heard_at

    def miss(self, node: str) -> None:
        pass

    def lost(self, _: str) -> bool:
        return False

    def name(self, node: str) -> str:
        return node


def test_a_disk_of_the_services_own_that_stands_still_is_not_the_silence_of_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rank whose host is not heard of ends the whole run, and the host is blamed."""
    loop = VirtualLoop()
    monkeypatch.setattr(remote_process, "time", SimpleNamespace(monotonic=loop.time))

    async def test() -> None:
        heard = Heard(loop.time)
        process = process_over(cast("Hosts", heard), files=KeptFiles(RunFolder(tmp_path)))
        process.follow()
        monkeypatch.setattr(loop, "delays", lambda _: (MISSED_SECONDS * 3, 0.0))
        for _ in range(100):
            await asyncio.sleep(1.0)
            assert process.missed is None
        monkeypatch.setattr(loop, "delays", lambda _: (0.0, 0.0))
        await asyncio.sleep(MISSED_SECONDS * 6)
        assert process.missed is None
        heard.answer = None
        await asyncio.sleep(MISSED_SECONDS + 3)
        assert process.missed == "a"
        heard.answer = News(used=Used(), ended=Ended(code=-9, outcome=None, for_memory=True))
        assert await process.ended() == -9
        assert process.for_memory
        process.let_go()

    loop.do(test())
    loop.bury()


def process_over(
    hosts: Hosts, process_id: str = ID, files: KeptFiles | None = None
) -> RemoteProcess:
    work = set[asyncio.Task[None]]()
    return RemoteProcess(
        process_id,
        hosts,
        files,
        lambda _: None,
        forget=lambda _: None,
        spawn=lambda coroutine: work.add(asyncio.create_task(coroutine)),
    )


async def joined(lab: Lab, *nodes: str) -> list[HostInMemory]:
    """Hosts of these nodes, of which the service hears soon."""
    await asyncio.sleep(0.1)
    made = [lab.host(node) for node in nodes]
    lab.wire.join(*made)
    await asyncio.sleep(1)
    return made


async def for_ever(*_: Any) -> Done:
    return await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_host_that_answers_and_makes_no_folder_holds_no_run_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Its disk hangs. A run that begins there hears neither a cancel nor its time-out meanwhile."""

    async def test(lab: Lab) -> None:
        service = lab.service(lease_seconds=LEASE_SECONDS)
        hangs, *others = await joined(lab, *"ab"[:workers])
        hangs.runs._open = for_ever  # type: ignore[method-assign]
        ids = [f"node:{host.node}:1" for host in (hangs, *others)]
        members = [process_over(service, each) for each in ids]
        jobs = [job_of(process_id=each, placement=(hangs.place,)) for each in ids]
        began = asyncio.get_running_loop().time()
        with pytest.raises(HostLost, match="has not written") as caught:
            async with asyncio.timeout(PUT_SECONDS * 3):
                await (begin_all(members, jobs) if others else members[0].begin(jobs[0]))
        assert caught.value.ranks == (0,)
        assert asyncio.get_running_loop().time() < began + PUT_SECONDS + 5
        assert lab.offers.keys() == {*"ab"[:workers]}, "it answers all the while"
        assert not hangs.launcher.machine.processes

    with_hosts(tmp_path, monkeypatch, test)


def test_a_run_that_is_just_being_taken_up_is_no_stray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(lab: Lab) -> None:
        launcher = RemoteLauncher(
            FakeLauncher(),
            bridge=[],
            owner=lambda: "me",
            lease_file=tmp_path / "lease",
            lease_seconds=LEASE_SECONDS,
            on_offers=lambda *_: None,
        )
        await launcher.start()
        (host,) = await joined(lab, "a")
        job = job_of(process_id=ID, placement=(host.place,), folder=tmp_path / "of the service")
        job.folder.mkdir()
        process = await launcher.launch(job, lambda _: None)
        process.let_go()
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(5 * STRAYS_SECONDS - 0.2 - now)  # shortly before a look
        launcher.end_strays()
        await asyncio.sleep(0.4)
        again = await launcher.take_up(ID, job.folder, lambda _: None)
        assert again is not None
        await asyncio.sleep(STRAYS_SECONDS * 4)
        (there,) = host.launcher.machine.processes
        assert there.runs
        again.let_go()
        await asyncio.sleep(STRAYS_SECONDS * 4)
        assert not there.runs, "nobody knows it now"
        await launcher.stop()

    with_hosts(tmp_path, monkeypatch, test)
