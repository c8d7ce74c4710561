"""A fork server that is killed, hangs or does not get warm, and the end of all."""

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from launcher_lab import InLab, Lab, gone, opened, process_of, until
from open_files import many_open_files
from servers import START_SECONDS
from trainyard.errors import Unavailable
from trainyard.launcher import fork_launcher
from trainyard.launcher.fork_launcher import ForkLauncher
from trainyard.rundir.folder import RunFolder


def test_runs_go_on_without_their_fork_server_and_a_pending_order_is_unavailable(
    in_lab: InLab,
) -> None:
    async def test(lab: Lab) -> None:
        job, process = await lab.trains()
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
        lab.launcher._check_seconds = 30.0
        await until(lab.launcher.warm, "the next fork server", seconds=START_SECONDS)
        assert (await lab.launcher.check(lab.request(), lab.access)).errors == ()

    in_lab(test, check_seconds=3.0)


def test_a_fork_server_that_hangs_is_replaced_and_its_runs_go_on(
    in_lab: InLab,
) -> None:
    async def test(lab: Lab) -> None:
        job, process = await lab.trains()
        server = lab.fork_server()
        server.suspend()
        with pytest.raises(Unavailable, match="did not answer"):
            await lab.launcher.check(lab.request("harsh"), lab.access)
        await until(lambda: not server.is_running(), "the end of the server that hangs")
        before = lab.rounds(job)
        await until(lambda: lab.rounds(job) > before + 5, "more rounds", job)
        lab.launcher._check_seconds = 30.0
        await until(lab.launcher.warm, "the next fork server", seconds=START_SECONDS)
        assert (await lab.launcher.check(lab.request(), lab.access)).errors == ()
        process.kill()
        assert await process.ended() is None
        process.release()

    in_lab(test, check_seconds=1.0)


def test_a_fork_server_that_answers_again_is_kept(in_lab: InLab) -> None:
    async def test(lab: Lab) -> None:
        server = lab.fork_server()
        server.suspend()
        with pytest.raises(Unavailable, match="did not answer"):
            await lab.launcher.check(lab.request("harsh"), lab.access)
        server.resume()
        doubt = lab.launcher._server._doubt
        assert doubt is not None
        await doubt
        lab.launcher._check_seconds = 30.0
        assert (await lab.launcher.check(lab.request("harsh"), lab.access)).errors == ()
        assert lab.fork_server().pid == server.pid

    in_lab(test, check_seconds=1.0)


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process may open none."""
    next_one = os.dup(0)
    os.close(next_one)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("late", [False, True])
def test_a_service_that_may_open_no_file_loses_the_run_that_is_forked_and_no_other(
    in_lab: InLab, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    async def test(lab: Lab) -> None:
        job, process = await lab.trains()
        server, spare, refused = lab.fork_server(), await lab.spare(), lab.job()
        if late:
            server.suspend()
            with monkeypatch.context() as patch:
                patch.setattr(fork_launcher, "FORK_SECONDS", 0.1)
                with pytest.raises(Unavailable, match="did not answer"):
                    await lab.launch(refused)
        with no_more_files():
            if late:
                os.kill(server.pid, signal.SIGCONT)
                doubt = lab.launcher._server._doubt
                assert doubt is not None
                await doubt
            else:
                with pytest.raises(Unavailable, match="Too many open files"):
                    await lab.launch(refused)
        await until(lambda: gone(spare), "the end of the process that nobody owns", seconds=2.0)
        before = lab.rounds(job)
        await until(lambda: lab.rounds(job) > before + 5, "more rounds", job)
        assert lab.fork_server().pid == server.pid
        again = await lab.launch(refused)
        await lab.training(refused)
        for each in (process, again):
            each.kill()
            await each.ended()
            each.release()

    in_lab(test)


@contextmanager
def no_more_files_for(process: psutil.Process) -> Iterator[None]:
    """That process may open none."""
    limits = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), limits[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_NOFILE, limits)


def test_a_fork_server_that_can_have_no_process_says_so_and_keeps_its_runs(in_lab: InLab) -> None:
    """It died of it, and of the runs under way nobody knew any more how they ended."""

    async def test(lab: Lab) -> None:
        _, process = await lab.trains()
        server, spare = lab.fork_server(), await lab.spare()
        spare.kill()
        await until(lambda: not lab.spares(), "the end of the process that waits")
        with no_more_files_for(server):
            with pytest.raises(Unavailable, match="no process for it now"):
                await lab.launch(lab.job())
            with pytest.raises(Unavailable, match="no process for it now"):
                await lab.launcher.check(lab.request("harsh"), lab.access)
        assert lab.fork_server().pid == server.pid
        assert (await lab.launcher.check(lab.request("harsh"), lab.access)).errors == ()
        process.kill()
        assert await process.ended() == -signal.SIGKILL
        process.release()

    in_lab(test)


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


def test_nothing_is_left_when_the_launcher_stops(home: Path) -> None:
    async def test() -> list[psutil.Process]:
        lab = await opened(home)
        _, process = await lab.trains()
        left = [lab.fork_server(), process_of(process), await lab.spare()]
        await lab.launcher.stop()
        return left

    _, alive = psutil.wait_procs(asyncio.run(test()), timeout=5)
    assert not alive


def test_runs_are_started_by_a_service_that_has_more_than_a_thousand_files_open(
    home: Path,
) -> None:
    """Each connection that follows a run is one. `select` takes no number above 1,023, here or in the fork server."""

    async def test() -> None:
        lab = await opened(home)
        try:
            job, process = await lab.trains()
            assert RunFolder(job.folder).processes == [process.id]
            process.kill()
            assert await process.ended() == -signal.SIGKILL
            process.release()
        finally:
            await lab.launcher.stop()

    with many_open_files():
        asyncio.run(test())
