"""What is counted as a run's memory."""

import mmap

import psutil
from trainyard.launcher.watching import Meter

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
