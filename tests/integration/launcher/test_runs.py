"""A run's process: where it is, what it tells, how it is asked to stop, and what is left of it."""

import asyncio
import gc
import weakref
from pathlib import Path

import psutil
import pytest
from launcher_lab import InLab, Lab, same, until
from trainyard.errors import LaunchRefused
from trainyard.launcher.messages import (
    Noted,
    Progressed,
)
from trainyard.rundir.folder import RunFolder


def test_a_run_tells_plain_numbers_has_its_own_temporary_folder_and_few_short_notes(
    in_lab: InLab,
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
    in_lab: InLab, home: Path
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


def test_a_run_is_asked_to_stop_from_its_first_instant_on(in_lab: InLab) -> None:
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


def test_a_process_that_cannot_start_says_why_and_a_model_that_is_gone_is_refused(
    in_lab: InLab,
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


def test_nothing_grows_over_many_runs(in_lab: InLab) -> None:
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
        await until(lambda: server.num_fds() <= its_files, "as few open files of the fork server")

    in_lab(test)
