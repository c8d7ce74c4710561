"""Rows of columns in files, and of files of rows: they are read, and what lies beside them is not."""

import ctypes
import mmap
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trainyard.datasets.tables.on_disk import InFiles
from trainyard.mapped_rows import RowsInFile, rows_of

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
        forgotten(file)
    return kept.frame("train", ROWS)


def forgotten(file: Path) -> None:
    """Have the kernel hold none of the file's pages."""
    opened = os.open(file, os.O_RDONLY)
    os.fsync(opened)
    os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(opened)


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


@pytest.fixture
def file_of_rows(tmp_path: Path) -> Path:
    """8 MB: 4,096 rows of 512 floats, half a page each."""
    file = tmp_path / "rows"
    np.arange(4_096 * 512, dtype=np.float32).tofile(file)
    forgotten(file)
    return file


@pytest.mark.parametrize(
    "rows",
    [slice(2, 9), slice(1, 4_000, 3), slice(4_095, 5_000), slice(0, 0), np.array([4_095, 0, 7, 7])],
    ids=str,
)
def test_rows_of_a_file_are_copied(file_of_rows: Path, rows: slice) -> None:
    found = RowsInFile.of(file_of_rows, np.float32, (4_096, 512))[rows]
    whole = np.fromfile(file_of_rows, np.float32).reshape(4_096, 512)
    np.testing.assert_array_equal(found, whole[rows])
    found[:] = 0
    assert np.fromfile(file_of_rows, np.float32)[-1]


def test_rows_here_and_there_in_a_file_are_read_and_nothing_else_is(file_of_rows: Path) -> None:
    if pages_in_memory(file_of_rows):
        pytest.skip("the files of tests are in memory")
    scattered = np.arange(0, 4_096, 64)
    found = RowsInFile.of(file_of_rows, np.float32, (4_096, 512))[scattered]
    assert found[:, 0].tolist() == (scattered * 512).tolist()
    assert pages_in_memory(file_of_rows) == len(scattered)
