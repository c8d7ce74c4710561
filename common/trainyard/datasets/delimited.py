"""CSV, plain or gzipped, by pyarrow: commas, one header line, UTF-8, as many values a row as the header has."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from trainyard.datasets.location import Location, readable
from trainyard.datasets.web import WebFile
from trainyard.errors import InvalidData

BLOCK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
# What pandas.read_csv takes for missing, so that a plain script sees the same table.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip


def first_rows(location: Location | WebFile) -> tuple[pa.Table, bool]:
    """The rows in the first megabyte, and whether that is the whole file. Raises `InvalidData`.

    A column without a name is called `Unnamed: 0` after its position, as pandas does.
    """
    from pyarrow import csv

    data, complete = location.head(BLOCK_BYTES)
    if data.startswith(GZIP_MAGIC):
        data, complete = _unpacked(location, data, complete=complete)
    if not data.strip():
        raise InvalidData(f"{location.uri!r} is empty; a header line and rows are needed", location.pointer)
    # A reader in blocks ends each with a whole row, so the first half of a cut piece is well-formed.
    options = csv.ReadOptions(block_size=len(data) + 1 if complete else len(data) // 2, use_threads=False)
    with _parsed(location):
        reader = csv.open_csv(pa.BufferReader(data), options, _parsing(), _converting(None))
        batch = next(iter(reader), None)
        table = reader.schema.empty_table() if batch is None else pa.Table.from_batches([batch])
        names = [name or f"Unnamed: {position}" for position, name in enumerate(table.column_names)]
        return table.rename_columns(names), complete


def every_row(location: Location, names: list[str], wanted: list[str]) -> pa.Table:
    """The columns `wanted` of all rows, where `first_rows` found the columns `names`. Raises `InvalidData`.

    Read block by block with the types of the first, which takes half the memory of reading it as a whole;
    where a later block does not fit these types (1, 2, … and then 2.5), read again as a whole.
    """
    compression = "gzip" if location.head(2)[0] == GZIP_MAGIC else None
    with _parsed(location):
        for read in (_in_blocks, _as_a_whole):
            with location.filesystem.open_input_stream(location.path, compression=compression) as stream:
                table = read(stream, names, wanted)
            if table is not None:
                return table
    return None


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

    return csv.ReadOptions(block_size=4 * BLOCK_BYTES, column_names=names, skip_rows_after_names=1)


def _unpacked(location: Location | WebFile, data: bytes, *, complete: bool) -> tuple[bytes, bool]:
    # Of compressed bytes that were cut, half as many again unpacked are sure to be there.
    limit = BLOCK_BYTES + 1 if complete else len(data) // 2
    parts: list[bytes] = []
    with readable(location.uri, location.pointer), pa.CompressedInputStream(pa.BufferReader(data), "gzip") as stream:
        while limit > 0 and (part := stream.read(limit)):
            parts.append(part)
            limit -= len(part)
    return b"".join(parts), complete and limit > 0


def _parsing() -> Any:
    from pyarrow import csv

    return csv.ParseOptions(newlines_in_values=True)


def _converting(wanted: list[str] | None) -> Any:
    from pyarrow import csv

    return csv.ConvertOptions(null_values=list(MISSING), strings_can_be_null=True, include_columns=wanted)


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
