"""Rows of columns in files: they are read, and what lies beside them is not."""

import ctypes
import mmap
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trainyard.datasets.tables.on_disk import InFiles
from trainyard.mapped_rows import rows_of

ROWS, PAGES = 1 << 20, 512


@pytest.fixture
def in_files(tmp_path: Path) -> pd.DataFrame:
    """Two columns of floats, of 8 MB each, and one of categories."""
    kept = InFiles(tmp_path)
    for name in ("a", "b"):
        kept.put("train", name, np.arange(ROWS, dtype=np.float64))
    codes = np.arange(ROWS) % 2
    kept.put("train", "city", pd.Categorical.from_codes(codes, categories=["Bonn", "Ulm"]))
    for file in tmp_path.iterdir():
        opened = os.open(file, os.O_RDONLY)
        os.fsync(opened)
        os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(opened)
    return kept.frame("train", ROWS)


def pages_in_memory(file: Path) -> int:
    """As many pages of the file as the kernel has in memory."""
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        values = np.frombuffer(mapped, np.uint8)
        there = (ctypes.c_ubyte * -(-len(mapped) // mmap.PAGESIZE))()
        size = ctypes.c_size_t(len(mapped))
        failed = ctypes.CDLL(None).mincore(ctypes.c_void_p(values.ctypes.data), size, there)
        del values
    assert not failed
    return sum(each & 1 for each in there)


@pytest.mark.parametrize(
    "rows", [slice(100_000, 130_000), slice(7, 90_000, 3), slice(ROWS - 5, ROWS + 9), slice(0, 0)]
)
def test_the_rows_are_those_of_the_frame(in_files: pd.DataFrame, rows: slice) -> None:
    pd.testing.assert_frame_equal(rows_of(in_files, rows), in_files.iloc[rows])
    whole = in_files.copy()
    pd.testing.assert_frame_equal(rows_of(whole, rows), whole.iloc[rows])


def test_they_are_read_and_nothing_else_is(in_files: pd.DataFrame, tmp_path: Path) -> None:
    if pages_in_memory(tmp_path / "train-f8"):
        pytest.skip("the files of tests are in memory")
    first = PAGES * mmap.PAGESIZE // 8
    assert rows_of(in_files, slice(first, 2 * first))["b"].sum() > 0
    assert 2 * PAGES <= pages_in_memory(tmp_path / "train-f8") < 3 * PAGES
