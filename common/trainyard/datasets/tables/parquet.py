"""Parquet: one file, or a folder of files partitioned by `column=value` folders."""

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location, Snapshot, readable
from trainyard.datasets.tables.filtered import expression, filtered, to_read
from trainyard.datasets.tables.lacking import check_files
from trainyard.datasets.tables.parts import SAMPLE_FILES, delimited_parts, parquet_parts, partition
from trainyard.datasets.tables.schemas import contradiction, differences, unified, without
from trainyard.datasets.tables.text_dates import LOOKED_AT, check_order
from trainyard.datasets.tables.views import text_compared, viewed, with_views, without_views
from trainyard.errors import InvalidData

DELTA_LOG = "_delta_log/"
MAGIC = b"PAR1"
SAMPLE_ROWS = 10_000
FOOTER_BYTES = 1 << 26
PAGE_BYTES = 1 << 16
READ_BYTES = 1 << 20
READ_AT_ONCE = 8
"""Footers."""


def schema(
    location: Location, *, all_files: bool, needed: Collection[str] = frozenset()
) -> pa.Schema:
    """The columns and their types, those of the partition folders included. Raises `InvalidData`.

    Without `all_files` the first `SAMPLE_FILES` files of a folder are opened. Of the columns `needed` a folder's
    files have all or none.
    """
    return described(location, all_files=all_files, needed=needed)[0]


def described(
    location: Location, *, all_files: bool, needed: Collection[str] = frozenset()
) -> tuple[pa.Schema, list[str]]:
    """The same, and a sentence for each column in which the files of a folder differ. Raises `InvalidData`."""
    with _parsed(location):
        sample = _checked_sample(location)
        if location.files is None:
            return _schema_of(location), []
        whole, differ = _unified(location, _files(location) if all_files else sample, needed)
        return whole, [*differ, *_passed_by(location)]


def _passed_by(location: Location) -> list[str]:
    """A sentence where CSV lies among the files of a folder, which is read as Parquet."""
    others = delimited_parts(location.files or ()) if location.snapshot is None else []
    if not others:
        return []
    return [
        f"the folder {location.uri!r} holds CSV beside Parquet, such as {others[0]!r}, which is not read; where its rows belong to the table, write them as Parquet"
    ]


def first_rows(location: Location, wanted: list[str]) -> tuple[pa.Table, bool]:
    """The columns `wanted` of the first rows, and whether these are all rows. Raises `InvalidData`.

    Of a folder the first `SAMPLE_FILES` files are opened.
    """
    from pyarrow.dataset import ParquetFragmentScanOptions

    page_by_page = ParquetFragmentScanOptions(
        use_buffered_stream=True, buffer_size=PAGE_BYTES, pre_buffer=False
    )
    with _parsed(location):
        sample = _checked_sample(location)
        known = None if location.files is None else _unified(location, sample)[0]
        needed = to_read(wanted, location.conditions)
        whole = _whole(location, sample, known)
        expression(location.conditions, whole.schema)
        table = whole.head(
            SAMPLE_ROWS,
            columns=needed,
            batch_size=SAMPLE_ROWS,
            batch_readahead=0,
            fragment_readahead=0,
            fragment_scan_options=page_by_page,
            use_threads=False,
        )
    all_files = location.all_files and len(sample) == len(_files(location))
    complete = all_files and table.num_rows < SAMPLE_ROWS
    return filtered(table, location.conditions).select(wanted), complete


def every_row(location: Location, known: pa.Schema, wanted: list[str]) -> pa.Table:
    """The columns `wanted` of all rows, where `schema` found `known`, files in the order of their names. Raises `InvalidData`.

    Where files of a folder differ, a column is read in a type that holds all its values, and is missing in the
    rows of a file that lacks it.
    A file is read column by column: at once, its compressed pages would take as much memory again.
    """
    from pyarrow.parquet import ParquetFile

    with _parsed(location):
        if location.files is not None or location.conditions:
            whole = _dataset(location, _files(location), known)
            try:
                return whole.to_table(columns=wanted, fragment_readahead=1)
            except pa.ArrowInvalid:
                _check_each(whole, wanted, location)
                raise
        with location.seekable() as stream, ParquetFile(stream, pre_buffer=False) as file:
            return pa.table({name: file.read(columns=[name]).column(name) for name in wanted})


def _check_each(whole: Any, wanted: list[str], location: Location) -> None:
    """Raise `InvalidData` for the column that is to blame where a table cannot be read."""
    for name in wanted:
        try:
            whole.to_table(columns=[name])
        except pa.ArrowInvalid as error:
            raise InvalidData(
                f"the column {name!r} of {location.uri!r} cannot be read: {error}; write it in one type in all files, or drop it",
                location.pointer,
            ) from error


def in_batches(
    location: Location, known: pa.Schema, wanted: list[str], rows: int
) -> Iterator[pa.RecordBatch]:
    """The columns `wanted` of all rows, in the order of `every_row`, at most `rows` at once. Raises `InvalidData`.

    Of one file a few pages a column are in memory; of a folder, which pyarrow reads otherwise, a few row groups.
    """
    from pyarrow.dataset import ParquetFragmentScanOptions
    from pyarrow.parquet import ParquetFile

    page_by_page = ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False)
    with _parsed(location):
        if location.files is None and not location.conditions:
            with (
                location.seekable() as stream,
                ParquetFile(stream, pre_buffer=False, buffer_size=READ_BYTES) as file,
            ):
                for batch in file.iter_batches(batch_size=rows, columns=wanted):
                    yield batch.select(wanted)  # which come in the order of the file
            return
        yield from _dataset(location, _files(location), known).to_batches(
            columns=wanted,
            batch_size=rows,
            batch_readahead=2,
            fragment_readahead=1,
            fragment_scan_options=page_by_page,
        )


def count_rows(location: Location, known: pa.Schema) -> int:
    """The rows, by the files' footers where all count. Raises `InvalidData`."""
    with _parsed(location):
        return int(_dataset(location, _files(location), known).count_rows())


def about_rows(location: Location, known: pa.Schema) -> int:
    """The rows, by the footers of at most `SAMPLE_FILES` files, where there are more an estimate. Raises `InvalidData`.

    0 where not all rows count: how many do, only the rows tell.
    """
    if location.conditions:
        return 0
    with _parsed(location):
        files = _files(location)
        if len(files) <= SAMPLE_FILES:
            return int(_dataset(location, files, known).count_rows())
        sample = files[:: len(files) // SAMPLE_FILES]
        return int(_dataset(location, sample, known).count_rows()) * len(files) // len(sample)


def dataset_of(location: Location) -> Any:
    """All rows, as a `pyarrow.dataset.Dataset`, of which a reader takes what it needs. Raises `InvalidData`.

    Text that is a view in one file is one in all: DuckDB filters by views itself, and leaves other text to Arrow.
    """
    with _parsed(location):
        files, known = _files(location), schema(location, all_files=True)
        if location.files is not None:
            paths = [f"{location.path}/{file}" for file in files]
            known = with_views(known, _viewed_in(location, paths, known.names))
        if location.snapshot is not None:
            location = replace(location, snapshot=replace(location.snapshot, schema=known))
        return _dataset(location, files, known)


def check_web(location: WebFile) -> None:
    """That a file from the web begins as Parquet does; its columns stand at its end and are seen in the run."""
    data, _ = location.head(len(MAGIC))
    if data != MAGIC:
        raise InvalidData(
            f"{location.uri!r} is not a Parquet file: it begins with {data!r}, not {MAGIC!r}",
            location.pointer,
        )


def is_delta(location: Location) -> bool:
    """Whether the location is a folder with the log of a Delta table."""
    return any(file.startswith(DELTA_LOG) for file in location.files or ())


def _files(location: Location) -> list[str]:
    """The table's files in a folder, relative to it; empty for a location that is one file."""
    if location.files is None:
        return []
    if location.snapshot is not None:
        return list(location.snapshot.files)
    if is_delta(location):
        raise InvalidData(
            f"{location.uri!r} is a Delta table, and those are read as data.uri alone; divide its rows by split.by, or write its current version as plain Parquet and name that",
            location.pointer,
        )
    files = parquet_parts(location.files)
    if not files:
        raise InvalidData(f"the folder {location.uri!r} holds no .parquet file", location.pointer)
    return files


def _dataset(location: Location, files: list[str], known: pa.Schema | None = None) -> Any:
    """The rows that count of `files`, whose schema is `known`, or of the one file that the location is."""
    whole = _whole(location, files, known)
    wanted = expression(location.conditions, whole.schema)
    if wanted is None:
        return whole
    if names := _viewed(location, files, whole, wanted):
        wanted = expression(location.conditions, whole.schema, names)
    check_order(
        location.conditions, whole.schema, lambda names: whole.head(LOOKED_AT, columns=names)
    )
    return whole.filter(wanted)


def _viewed(location: Location, files: list[str], whole: Any, wanted: Any) -> frozenset[str]:
    """The columns of text, compared with a value, that are views in a file which may have rows that are `wanted`."""
    names = text_compared(location.conditions, whole.schema) - {*partition(files).names}
    if not names:
        return frozenset()
    paths = [each.path for each in whole.get_fragments(filter=wanted)]
    return _viewed_in(location, paths, names)


def _viewed_in(location: Location, paths: list[str], names: Iterable[str]) -> frozenset[str]:
    """Those of the columns that are views in one of these files."""
    from pyarrow.parquet import read_schema

    readers = ThreadPoolExecutor(READ_AT_ONCE)
    try:
        look = partial(read_schema, filesystem=location.filesystem)
        return viewed(readers.map(look, paths), names)
    finally:  # those that are not read yet are not waited for, where a run is asked to stop
        readers.shutdown(wait=False, cancel_futures=True)


def _whole(location: Location, files: list[str], known: pa.Schema | None = None) -> Any:
    """All rows; where only some count, without views, which Arrow cannot filter by. DuckDB filters by them itself."""
    from pyarrow import dataset

    if location.files is None and location.conditions:
        known = _schema_of(location)
    if location.conditions and known is not None:
        known = without_views(known)
    if location.files is None:
        return dataset.dataset(
            location.path,
            schema=known if location.conditions else None,
            filesystem=location.filesystem,
            format="parquet",
        )
    if location.snapshot is not None:
        return _at_version(location, location.snapshot, files)
    return dataset.dataset(
        [f"{location.path}/{file}" for file in files],
        schema=known,
        filesystem=location.filesystem,
        format="parquet",
        partition_base_dir=location.path,
        partitioning=dataset.partitioning(partition(files), flavor="hive"),
    )


def _at_version(location: Location, snapshot: Snapshot, files: list[str]) -> Any:
    """The rows of `files`; a column that a file lacks is missing there, or has the value of the file's partition."""
    from pyarrow import dataset

    kind = dataset.ParquetFileFormat()
    fragments = [
        kind.make_fragment(
            f"{location.path}/{file}",
            filesystem=location.filesystem,
            partition_expression=snapshot.files[file],
        )
        for file in files
    ]
    return dataset.FileSystemDataset(fragments, snapshot.schema, kind, location.filesystem)


def _unified(
    location: Location, files: list[str], needed: Collection[str] = frozenset()
) -> tuple[pa.Schema, list[str]]:
    """One schema for all files of a folder, and in what they differ. Raises `InvalidData` where no schema fits."""
    if location.snapshot is not None:
        return location.snapshot.schema, []
    apart = partition(files)
    parts = {file: without(_schema_of(location, file), apart.names) for file in files}
    check_files({file: part.names for file, part in parts.items()}, needed, location)
    try:
        whole = unified([*parts.values()], apart)
    except pa.ArrowTypeError as error:
        raise InvalidData(
            f"the files of {location.uri!r} contradict each other: {contradiction(parts) or error}",
            location.pointer,
        ) from error
    return whole, differences(parts, whole, location.uri)


def _schema_of(location: Location, file: str | None = None) -> pa.Schema:
    """Of a file in a folder, or of the one file that the location is."""
    from pyarrow.parquet import read_schema

    path = location.path if file is None else f"{location.path}/{file}"
    return read_schema(path, filesystem=location.filesystem)


def _checked_sample(location: Location) -> list[str]:
    """The files of a folder that a look opens, none for one file; the footers are checked."""
    sample = _files(location)[:SAMPLE_FILES]
    for file in sample or (None,):
        _check_footer(location, file)
    return sample


def _check_footer(location: Location, file: str | None) -> None:
    """Raise `InvalidData` where the list of columns, at the file's end, is larger than the file or `FOOTER_BYTES`.

    The last eight bytes are its size and `PAR1`; a reader takes as much memory as that size says, and more.
    """
    with location.seekable(file) as stream:
        size, begin = stream.size(), stream.read(len(MAGIC))
        stream.seek(max(0, size - 8))
        end = stream.read(8)
    shown = location.uri if file is None else f"{location.uri}/{file}"
    if not end.endswith(MAGIC):
        cure = "write the file again"
        if begin != MAGIC:
            cure = f"it begins with {begin!r}, so where it is CSV, set data.format to 'csv', and where it is packed, unpack it"
        raise InvalidData(
            f"{shown!r} is not a readable Parquet table: it does not end in {MAGIC!r}; {cure}",
            location.pointer,
        )
    footer = int.from_bytes(end[:4], "little")
    if footer > min(FOOTER_BYTES, size):
        raise InvalidData(
            f"the description of columns and row groups in {shown!r} takes {footer:,} bytes of a file of {size:,}, and at most {FOOTER_BYTES:,} are read; write fewer and larger row groups",
            location.pointer,
        )


@contextmanager
def _parsed(location: Location) -> Iterator[None]:
    with readable(location.uri, location.pointer):
        try:
            yield
        except (
            pa.ArrowInvalid,
            pa.ArrowTypeError,
            pa.ArrowNotImplementedError,
            pa.ArrowKeyError,
        ) as error:
            raise InvalidData(
                f"{location.uri!r} is not a readable Parquet table: {error}", location.pointer
            ) from error
