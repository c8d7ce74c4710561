"""What is counted as a run's memory."""

import asyncio
import mmap
import os
from typing import Any

import psutil
from trainyard.launcher.watching import Meter, Watch

MB = 2**20
SIZE = 64 * MB
PAGE = mmap.PAGESIZE


def looked(limit_mb: int | None = None) -> Meter:
    meter = Meter(psutil.Process().pid, limit_mb)
    meter.look([psutil.Process()])
    return meter


def test_pages_of_a_file_are_not_counted_and_memory_that_nobody_can_take_back_is(tmp_path):
    (tmp_path / "columns").write_bytes(bytes(SIZE))
    before = looked().peak_mb
    limit_mb = before + 32
    with (
        (tmp_path / "columns").open("rb") as file,
        mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ) as mapped,
    ):
        resident = psutil.Process().memory_info().rss
        assert not sum(mapped[::PAGE])
        assert psutil.Process().memory_info().rss > resident + SIZE // 2, "they are looked at"
        assert looked(limit_mb).over_mb is None
    own = bytearray(SIZE)
    own[::PAGE] = b"x" * len(own[::PAGE])
    assert looked(limit_mb).over_mb >= before + 60
    shared = mmap.mmap(-1, SIZE)
    shared[::PAGE] = b"x" * len(own[::PAGE])
    assert looked(limit_mb).over_mb >= before + 120


def test_memory_that_grows_while_pages_of_a_file_go_is_seen(tmp_path):
    (tmp_path / "columns").write_bytes(bytes(SIZE))
    meter = looked()
    before = meter.peak_mb
    with (tmp_path / "columns").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ)
        assert not sum(mapped[::PAGE])
        meter.look([psutil.Process()])
        mapped.close()
    own = bytearray(SIZE)
    own[::PAGE] = b"x" * len(own[::PAGE])
    meter.look([psutil.Process()])
    assert meter.peak_mb >= before + 60


def test_runs_are_looked_at_also_after_no_thread_was_to_be_had(monkeypatch) -> None:
    """Without it no run is ended for its memory any more, and none has used anything."""
    to_thread, tries = asyncio.to_thread, [RuntimeError("can't start new thread")]

    async def none_at_first(*call: Any) -> Any:
        if tries:
            raise tries.pop()
        return await to_thread(*call)

    async def watched() -> Meter:
        watch, meter = Watch(look_seconds=0.01), Meter(os.getpgid(0), None)
        keeper = asyncio.create_task(watch.keep())
        watch.add(meter, lambda: None)
        async with asyncio.timeout(30):
            while meter.peak_mb is None and not keeper.done():  # noqa: ASYNC110 - a meter has no event
                await asyncio.sleep(0.01)
        keeper.cancel()
        return meter

    monkeypatch.setattr(asyncio, "to_thread", none_at_first)
    assert asyncio.run(watched()).peak_mb
    assert not tries
