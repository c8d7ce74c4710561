"""The process that is forked ahead and waits to be the next run."""

import asyncio
import os
import signal

import pytest
from launcher_lab import InLab, Lab, gone, process_of, until
from servers import START_SECONDS
from trainyard.errors import Unavailable
from trainyard.rundir.folder import RunFolder


def test_a_run_is_the_process_that_waited_for_it_and_the_next_one_waits_then(
    in_lab: InLab,
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
    in_lab: InLab, number: signal.Signals
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
    in_lab: InLab,
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
    in_lab: InLab,
) -> None:
    async def test(lab: Lab) -> None:
        _, process = await lab.trains()  # by then it is called otherwise than the one that waits
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
    in_lab: InLab,
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
