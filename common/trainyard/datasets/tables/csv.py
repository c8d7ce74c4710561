"""CSV, plain or gzipped, by pyarrow: commas, one header line, UTF-8, as many values a row as the header has."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location, readable
from trainyard.errors import InvalidData

BLOCK_BYTES = 1 << 22
START_BYTES = (1 << 20, 1 << 22, 1 << 24)
"""Read at submit: the first that holds a header and a row."""
GZIP_MAGIC = b"\x1f\x8b"
# What pandas.read_csv takes for missing, so that a plain script sees the same table.
MISSING = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
)


def first_rows(location: Location | WebFile) -> tuple[pa.Table, bool]:
    """The rows at the start of the file, and whether these are all. Raises `InvalidData`.

    A megabyte is read, or more where the header and one row are longer. A column without a name is called
    `Unnamed: 0` after its position, as pandas does.
    """
    from pyarrow import csv

    data, complete = _start(location)
    if not data.strip():
        raise InvalidData(
            f"{location.uri!r} is empty; a header line and rows are needed", location.pointer
        )
    # The streaming reader ends each block at a row's end, so with half the bytes as block size the first
    # block of a file that was cut holds only whole rows.
    options = csv.ReadOptions(
        block_size=len(data) + 1 if complete else len(data) // 2, use_threads=False
    )
    with _parsed(location):
        reader = csv.open_csv(pa.BufferReader(data), options, _parsing(), _converting(None))
        batch = next(iter(reader), None)
        table = reader.schema.empty_table() if batch is None else pa.Table.from_batches([batch])
        return table.rename_columns(_named(table.column_names)), complete


def every_row(location: Location, names: list[str], wanted: list[str]) -> pa.Table:
    """The columns `wanted` of all rows, where `first_rows` found the columns `names`. Raises `InvalidData`.

    Read block by block with the types of the first, which takes half the memory of reading it as a whole;
    where a later block does not fit these types (1, 2, … and then 2.5), read again as a whole.
    """
    compression = "gzip" if location.head(2)[0] == GZIP_MAGIC else None
    with _parsed(location):
        for read in (_in_blocks, _as_a_whole):
            with location.filesystem.open_input_stream(
                location.path, compression=compression
            ) as stream:
                table = read(stream, names, wanted)
            if table is not None:
                return table
    return None


def in_batches(location: Location, names: list[str], wanted: list[str]) -> Iterator[pa.RecordBatch]:
    """The columns `wanted` of all rows, block by block with the types of the first block.

    Raises `InvalidData` where the types of the first block do not hold for a later one.
    """
    from pyarrow import csv

    compression = "gzip" if location.head(2)[0] == GZIP_MAGIC else None
    with (
        _parsed(location),
        location.filesystem.open_input_stream(location.path, compression=compression) as stream,
        csv.open_csv(stream, _reading(names), _parsing(), _converting(wanted)) as reader,
    ):
        yield from reader


def _in_blocks(stream: Any, names: list[str], wanted: list[str]) -> pa.Table | None:
    """The table, or None where the first block's types do not hold, or a row is malformed."""
    from pyarrow import csv

    try:
        with csv.open_csv(stream, _reading(names), _parsing(), _converting(wanted)) as reader:
            return reader.read_all()
    except pa.ArrowInvalid:
        return None


def _as_a_whole(stream: Any, names: list[str], wanted: list[str]) -> pa.Table:
    from pyarrow import csv

    return csv.read_csv(stream, _reading(names), _parsing(), _converting(wanted))


def _reading(names: list[str]) -> Any:
    from pyarrow import csv

    return csv.ReadOptions(block_size=BLOCK_BYTES, column_names=names, skip_rows_after_names=1)


def _named(header: list[str]) -> list[str]:
    """The names in a header; one without is called `Unnamed: 0` after its position, or `Unnamed: 0.1` where that is taken."""
    taken = set(header)
    names = []
    for position, name in enumerate(header):
        unnamed = f"Unnamed: {position}"
        names.append(name or (f"{unnamed}.1" if unnamed in taken else unnamed))
    return names


def _start(location: Location | WebFile) -> tuple[bytes, bool]:
    """The first bytes, unpacked, with a header and a row in their first half; and whether these are all."""
    for limit in START_BYTES:
        data, complete = location.head(limit)
        if data.startswith(GZIP_MAGIC):
            data, complete = _unpacked(location, data, limit, complete=complete)
        half = len(data) // 2
        if complete or max(data.count(b"\n", 0, half), data.count(b"\r", 0, half)) >= 2:
            return data, complete
    raise InvalidData(
        f"the header and the first row of {location.uri!r} are longer than {START_BYTES[-1] // 2_000_000} MB; save the table as Parquet",
        location.pointer,
    )


def _unpacked(
    location: Location | WebFile, data: bytes, limit: int, *, complete: bool
) -> tuple[bytes, bool]:
    """At most `limit` bytes unpacked from gzip, however many `data` would unpack to."""
    # Bytes that were cut unpack to at least half as many before the cut is met.
    limit = limit + 1 if complete else len(data) // 2
    parts: list[bytes] = []
    with (
        readable(location.uri, location.pointer),
        pa.CompressedInputStream(pa.BufferReader(data), "gzip") as stream,
    ):
        while limit > 0 and (part := stream.read(limit)):
            parts.append(part)
            limit -= len(part)
    return b"".join(parts), complete and limit > 0


def _parsing() -> Any:
    from pyarrow import csv

    return csv.ParseOptions(newlines_in_values=True)


def _converting(wanted: list[str] | None) -> Any:
    from pyarrow import csv

    return csv.ConvertOptions(
        null_values=list(MISSING), strings_can_be_null=True, include_columns=wanted
    )


@contextmanager
def _parsed(location: Location | WebFile) -> Iterator[None]:
    with readable(location.uri, location.pointer):
        try:
            yield
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise InvalidData(
                f"{location.uri!r} is not CSV with a header line, commas, UTF-8 and as many values in each row as in the header: {error}",
                location.pointer,
            ) from error
