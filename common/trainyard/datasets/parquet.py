"""Parquet: one file, or a folder of files partitioned by `column=value` folders."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from trainyard.datasets.location import Location, readable
from trainyard.datasets.web import WebFile
from trainyard.errors import InvalidData

ENDINGS = (".parquet", ".pq")
MAGIC = b"PAR1"
SAMPLE_ROWS = 10_000
PAGE_BYTES = 1 << 16


def schema(location: Location) -> pa.Schema:
    """The columns and their types, those of the partition folders included. Raises `InvalidData`."""
    with _parsed(location):
        return _dataset(location).schema


def first_rows(location: Location, wanted: list[str]) -> tuple[pa.Table, bool]:
    """The columns `wanted` of the first rows, and whether these are all rows. Raises `InvalidData`."""
    from pyarrow.dataset import ParquetFragmentScanOptions

    page_by_page = ParquetFragmentScanOptions(use_buffered_stream=True, buffer_size=PAGE_BYTES, pre_buffer=False)
    with _parsed(location):
        table = _dataset(location).head(
            SAMPLE_ROWS, columns=wanted, batch_size=SAMPLE_ROWS, batch_readahead=0, fragment_readahead=0,
            fragment_scan_options=page_by_page, use_threads=False,
        )
    return table, table.num_rows < SAMPLE_ROWS


def every_row(location: Location, wanted: list[str]) -> pa.Table:
    """The columns `wanted` of all rows, files in the order of their names. Raises `InvalidData`.

    A file is read column by column: at once, its compressed pages would take as much memory again.
    """
    from pyarrow.parquet import ParquetFile

    with _parsed(location):
        if location.files is not None:
            return _dataset(location).to_table(columns=wanted, fragment_readahead=1)
        with location.seekable() as stream, ParquetFile(stream, pre_buffer=False) as file:
            return pa.table({name: file.read(columns=[name]).column(name) for name in wanted})


def check_web(location: WebFile) -> None:
    """That a file from the web begins as Parquet does; its columns stand at its end and are seen in the run."""
    data, _ = location.head(len(MAGIC))
    if data != MAGIC:
        raise InvalidData(f"{location.uri!r} is not a Parquet file: it begins with {data!r}, not {MAGIC!r}", location.pointer)


def _dataset(location: Location) -> Any:
    from pyarrow import dataset

    if location.files is None:
        return dataset.dataset(location.path, filesystem=location.filesystem, format="parquet")
    files = [f"{location.path}/{file}" for file in location.files if file.endswith(ENDINGS) and not _is_hidden(file)]
    if not files:
        raise InvalidData(f"the folder {location.uri!r} holds no .parquet file", location.pointer)
    return dataset.dataset(
        files, filesystem=location.filesystem, format="parquet", partition_base_dir=location.path, partitioning=dataset.partitioning(flavor="hive"),
    )


def _is_hidden(file: str) -> bool:
    return any(part.startswith((".", "_")) for part in file.split("/"))


@contextmanager
def _parsed(location: Location) -> Iterator[None]:
    with readable(location.uri, location.pointer):
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, pa.ArrowKeyError) as error:
            raise InvalidData(f"{location.uri!r} is not a readable Parquet table: {error}", location.pointer) from error
