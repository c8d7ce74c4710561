"""What a run may use: memory, its log, cores, threads, GPUs, and its share of the processor."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from launcher_lab import LOG_LIMIT_MB, InLab, Lab, beginning_of, process_of, size, until
from trainyard.rundir.folder import RunFolder


def test_a_run_that_prints_without_end_does_not_fill_the_disk(in_lab: InLab) -> None:
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
    in_lab: InLab,
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


def test_a_run_has_the_cores_threads_and_gpus_that_it_was_given(in_lab: InLab) -> None:
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


def test_a_run_collects_its_own_garbage_and_not_what_its_fork_server_imported(
    in_lab: InLab,
) -> None:
    async def test(lab: Lab) -> None:
        job = lab.job("harsh", trouble="litters")
        process = await lab.launch(job)
        await asyncio.wait_for(process.ended(), 30)
        process.release()
        assert "GARBAGE True True" in (job.folder / "training.log").read_text()

    in_lab(test)


@pytest.mark.parametrize("niceness", [0, 10])
def test_a_run_with_all_its_threads_stands_back_as_far_as_it_is_told(
    in_lab: InLab, niceness: int
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
