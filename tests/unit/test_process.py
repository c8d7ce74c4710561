"""The handle of a process that an earlier service started."""

import asyncio
import os
import threading

from open_files import many_open_files
from trainyard.launcher.process import ForkedProcess
from trainyard.launcher.process_id import process_id, started_ticks


def runs(named: str) -> bool:
    async def found() -> bool:
        process = ForkedProcess(named)
        try:
            return process.runs
        finally:
            process.look_away()

    return asyncio.run(found())


def test_a_number_that_a_thread_of_another_process_has_by_now_is_no_process():
    """As in a container that was started again, where numbers are small and soon given again."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        number = thread.native_id
        assert started_ticks(number) is not None
        assert not runs(f"fork:{number}:{started_ticks(os.getpid())}")
    finally:
        done.set()
        thread.join()


def test_a_process_runs_under_its_own_start_and_under_no_other():
    own = process_id(os.getpid())
    assert runs(own)
    assert not runs(f"{own}0")


def test_a_process_is_seen_and_told_of_its_end_where_more_than_a_thousand_files_are_open():
    async def seen_to_its_end() -> None:
        child = await asyncio.create_subprocess_exec("sleep", "100")
        process = ForkedProcess(process_id(child.pid))
        assert process.runs
        child.kill()
        async with asyncio.timeout(10):
            await process.ended()
        process.look_away()
        await child.wait()

    with many_open_files():
        asyncio.run(seen_to_its_end())
