"""CSV by pyarrow, in whatever dialect and encoding its first bytes are in; plain, or packed by gzip, bzip2, zstd or zip."""

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.contract import CsvOptions
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location, readable
from trainyard.datasets.sources.memory import available_mb
from trainyard.datasets.tables import packed
from trainyard.datasets.tables.dialects.dialect import MISSING, Dialect, Layout
from trainyard.datasets.tables.dialects.encodings import encoding_of, is_guess
from trainyard.datasets.tables.dialects.finding import dialect_of
from trainyard.errors import InvalidData

BLOCK_BYTES = 1 << 22
SMALL = 16
"""A file that fits so often into memory is small."""
UTF8 = "utf-8"
OTHERS = {
    b"par1": "Parquet; set data.format to 'parquet', or give it a name that ends so",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save its sheet as CSV",
    b"sqlite format 3": "an SQLite database; write the table as CSV or Parquet",
    b"arrow1": "a Feather file; save the table as Parquet",
    b"orc": "an ORC file; save the table as Parquet",
    b"<!doctype html": "a web page, perhaps one to log in at; download the table itself",
    b'{"': "JSON; save the table as CSV or Parquet",
    b'[{"': "JSON; save the table as CSV or Parquet",
    b"<?xml": "XML; save the table as CSV or Parquet",
    b"\x1f\x8b": "packed twice; unpack it once",
    b"bzh": "packed twice; unpack it once",
    b"\x28\xb5\x2f\xfd": "packed twice; unpack it once",
    b"pk\x03\x04": "packed twice; unpack it once",
    b"<html": "a web page, perhaps one to log in at; download the table itself",
}
"""What a file of another kind begins with, without regard to case."""
ZERO_FIRST = re.compile(rb"(?<![^\s,;|\"'])-?0[xX\d]")
CODE = r"^\s*(0\d+|-?0[xX][0-9a-fA-F]+)\s*$"
BARE_EXPONENT = re.compile(rb"\d[eE]\d")
EXPONENT_CODE, FRACTION = r"^\s*\d+[eE]\d+\s*$", r"[.,]\d|[eE][+-]"
"""12e4 among numbers without fractions or a sign before the exponent, as programs write it: such identifiers have letters of a to f."""
BEYOND_ASCII = re.compile(r"[^\s,;|\"'\x00-\x1f]{0,20}[^\x00-\x7f\ufffd][^\s,;|\"'\x00-\x1f]{0,20}")
THOUSANDS, POINT = r"^\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*$", r"\."
FEWEST_THOUSANDS = 5
"""Numbers that differ: fewer have three decimals by chance."""
LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Start:
    """The first rows of a CSV, whether these are all, and how the file is written."""

    rows: pa.Table
    complete: bool
    layout: Layout
    bytes_a_row: float


def first_rows(
    location: Location | WebFile,
    asked: CsvOptions | None = None,
    texts: frozenset[str] = frozenset(),
) -> Start:
    """The rows at the start of the file, read as `asked` says, and for the rest as its first bytes tell. Raises `InvalidData`.

    A megabyte is read, or more where the header and one row are longer. A column without a name is called
    `Unnamed: 0` after its position, as pandas does, and left out where it has no value either. The columns `texts`
    are read as text, whatever they hold.
    """
    from pyarrow import csv

    stated = {} if asked is None else asked.model_dump(exclude_none=True)
    missing = tuple(stated.pop("missing", MISSING))
    data, complete = packed.start(location)
    _check_text(data, location)
    with _parsed(location):
        encoding = stated.get("encoding") or encoding_of(data)
        if encoding != UTF8:
            data = codecs.getincrementaldecoder(encoding)().decode(data, final=complete).encode()
        if complete:
            data += b"\n"  # without which a header alone is no row to pyarrow
        text = data.removeprefix(codecs.BOM_UTF8).decode(errors="replace")
        dialect = dialect_of(text, Dialect(**stated | {"encoding": encoding}), frozenset(stated))
        # The streaming reader ends each block at a row's end, so with half the bytes as block size the first
        # block of a file that was cut holds only whole rows.
        block = len(data) + 1 if complete else len(data) // 2
        named = _head(data, dialect, block)
        word = _first_word(text) if is_guess(encoding) else ""
        layout = _laid_out(named, dialect, stated, texts=texts, missing=missing, word=word)
        options = csv.ReadOptions(block_size=block, use_threads=False, **_header(layout))
        reader = csv.open_csv(
            pa.BufferReader(data), options, _parsing(dialect), _converting(layout, None)
        )
        batch = next(iter(reader), None)
        table = reader.schema.empty_table() if batch is None else pa.Table.from_batches([batch])
        layout = replace(layout, codes=_codes(data, table, layout, options))
    empty = tuple(
        name
        for name, own in zip(layout.names, _without_name(named, dialect), strict=True)
        if own and table[name].null_count == len(table)
    )
    layout = replace(layout, nameless=empty)
    rows = table.drop_columns(list(empty))
    return Start(rows, complete, layout, bytes_a_row=block / max(len(rows), 1))


def _first_word(text: str) -> str:
    """The first word beyond ASCII; empty where there is none."""
    found = BEYOND_ASCII.search(text)
    return found[0] if found else ""


def _check_text(data: bytes, location: Location | WebFile) -> None:
    """Raise `InvalidData` for an empty file, and for files of other kinds under the name of a CSV."""
    if not data.strip():
        raise InvalidData(
            f"{location.uri!r} is empty; a header line and rows are needed", location.pointer
        )
    for magic, what in OTHERS.items():
        if data[: len(magic)].lower() == magic:
            raise InvalidData(f"{location.uri!r} is {what}", location.pointer)


def _codes(data: bytes, table: pa.Table, layout: Layout, options: Any) -> dict[str, str]:
    """The columns of numbers in which text such as 00501, 0x1F, 12e4 or 1.025 was found, with that; none of a name that is there twice."""
    thousands = _thousands(data, table, layout, options)
    counts = Counter(table.column_names)
    looked_for = {"whole": ZERO_FIRST.search(data), "float": BARE_EXPONENT.search(data)}
    kinds = {
        name: "whole" if pa.types.is_integer(kind) else "float"
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
        if (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and counts[name] == 1
    }
    names = [name for name, kind in kinds.items() if looked_for[kind]]
    if not names:
        return thousands
    batch = _as_text(data, names, layout, options)
    found = {name: _code_in(batch[name], kinds[name]) for name in names}
    return thousands | {name: word for name, word in found.items() if word is not None}


def _as_text(data: bytes, names: list[str], layout: Layout, options: Any) -> Any:
    """The first rows of these columns, as they are written."""
    from pyarrow import csv

    as_text = csv.ConvertOptions(
        include_columns=names, column_types=dict.fromkeys(names, pa.string())
    )
    reader = csv.open_csv(pa.BufferReader(data), options, _parsing(layout.dialect), as_text)
    return next(iter(reader))


def _thousands(data: bytes, table: pa.Table, layout: Layout, options: Any) -> dict[str, str]:
    """The columns whose numbers are all as 1.234, with one of them, where nothing tells whether the point is a decimal mark.

    Where a comma divides values nobody writes thousands so, and where one column has other decimals the point is one.
    """
    kinds = zip(table.column_names, table.schema.types, strict=True)
    names = [name for name, kind in kinds if pa.types.is_floating(kind)]
    own = layout.dialect
    is_told = own.delimiter == "," or own.decimal == "," or "decimal" in layout.stated
    if is_told or not names or len(set(table.column_names)) < table.num_columns:
        return {}
    batch = _as_text(data, names, layout, options)
    found = {}
    for name in names:
        text = batch[name].filter(pc.match_substring_regex(batch[name], POINT))
        if not pc.all(pc.match_substring_regex(text, THOUSANDS), min_count=0).as_py():
            return {}
        written = batch[name].drop_null()
        if len(text) == len(written) and len(text.unique()) >= FEWEST_THOUSANDS:
            found[name] = str(text[0].as_py())
    return found


def _code_in(text: pa.Array, kind: str) -> str | None:
    """The first that is written as a code is, in a column of such numbers."""
    if kind == "float" and pc.any(pc.match_substring_regex(text, FRACTION)).as_py():
        return None
    pattern = CODE if kind == "whole" else EXPONENT_CODE
    at = pc.index(pc.match_substring_regex(text, pattern), True).as_py()
    return None if at < 0 else str(text[at].as_py())


def about_rows(location: Location, start: Start) -> int:
    """The rows of a file that is not packed, by its size and its first rows; 0 for one that is."""
    if start.complete:
        return len(start.rows)
    size = packed.plain_bytes(location)
    return 0 if size is None else int(size / start.bytes_a_row)


def every_row(location: Location, layout: Layout, wanted: list[str]) -> pa.Table:
    """The columns `wanted` of all rows of a file that `first_rows` found to be so laid out. Raises `InvalidData`.

    A file that is small beside the memory there is, is read as a whole, by all threads. Others are read block by block
    with the types of the first, which takes half the memory; where a later block does not fit these types (1, 2, …
    and then 2.5), read again as a whole.
    """
    with _parsed(location):
        small = _is_small(location)
        for read in (_as_a_whole,) if small else (_in_blocks, _as_a_whole):
            with packed.opened(location) as stream:
                table = read(stream, layout, wanted)
            if table is not None:
                return table.select(wanted)
    return None


def in_batches(location: Location, layout: Layout, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    """The columns `wanted` of all rows, block by block with the types of the first block.

    Raises `InvalidData` where the types of the first block do not hold for a later one.
    """
    from pyarrow import csv

    with (
        _parsed(location),
        packed.opened(location) as stream,
        csv.open_csv(
            stream, _reading(layout), _parsing(layout.dialect), _converting(layout, wanted)
        ) as reader,
    ):
        for batch in reader:
            yield batch.select(wanted)


def _is_small(location: Location) -> bool:
    """Not packed, and so small that twice as much memory for a moment is of no account."""
    size = packed.plain_bytes(location)
    return size is not None and size * SMALL <= available_mb() << 20


def _in_blocks(stream: Any, layout: Layout, wanted: list[str]) -> pa.Table | None:
    """The table, or None where the first block's types do not hold, or a row is malformed."""
    from pyarrow import csv

    try:
        with csv.open_csv(
            stream, _reading(layout), _parsing(layout.dialect), _converting(layout, wanted)
        ) as reader:
            return reader.read_all()
    except pa.ArrowInvalid:
        return None


def _as_a_whole(stream: Any, layout: Layout, wanted: list[str]) -> pa.Table:
    from pyarrow import csv

    return csv.read_csv(
        stream, _reading(layout), _parsing(layout.dialect), _converting(layout, wanted)
    )


def _reading(layout: Layout) -> Any:
    from pyarrow import csv

    return csv.ReadOptions(
        block_size=BLOCK_BYTES, encoding=layout.dialect.encoding, **_header(layout)
    )


def _header(layout: Layout) -> dict[str, Any]:
    """Which lines are none of the table, and its names."""
    dialect = layout.dialect
    skipped = {"skip_rows": dialect.skip_rows, "column_names": list(layout.names)}
    if dialect.header and any("\0" in name for name in layout.names):
        # After such a header pyarrow leaves out a row too many, unless it is told of lines.
        lines = 1 + sum(len(LINE_END.findall(name)) for name in layout.names)
        return skipped | {"skip_rows": dialect.skip_rows + lines}
    if dialect.extra:  # whose header has another number of values than pyarrow looks for
        return skipped | {"skip_rows": dialect.skip_rows + 1}
    return skipped | {"skip_rows_after_names": int(dialect.header)}


def _head(data: bytes, dialect: Dialect, block: int) -> list[str]:
    """The header as it is; the positions where there is none."""
    from pyarrow import csv

    if dialect.extra:
        lines = io.StringIO(data.decode(errors="replace").removeprefix("\ufeff"), newline="")
        line = next(islice(lines, dialect.skip_rows, None)).rstrip("\r\n")
        data = line.encode()
    else:
        data = _without_rows(data, dialect)
    options = csv.ReadOptions(
        block_size=block,
        use_threads=False,
        skip_rows=0 if dialect.extra else dialect.skip_rows,
        autogenerate_column_names=not dialect.header,
    )
    everything = csv.ConvertOptions()
    reader = csv.open_csv(pa.BufferReader(data + b"\n"), options, _parsing(dialect), everything)
    names = list(reader.schema.names)
    return names if dialect.header else [str(at) for at in range(len(names))]


def _without_rows(data: bytes, dialect: Dialect) -> bytes:
    """The bytes up to the end of the header: to find out the types of values, only to drop them, takes long where there are thousands."""
    if dialect.escape:  # with which a quote does not always open or close
        return data
    at = quotes = 0
    for number, line in enumerate(io.BytesIO(data)):
        at += len(line)
        if number >= dialect.skip_rows:
            quotes += line.count(dialect.quote.encode()) if dialect.quote else 0
            if line.strip() and quotes % 2 == 0:
                break
    return data[:at]


def _laid_out(
    header: list[str], dialect: Dialect, stated: Mapping[str, Any], **more: Any
) -> Layout:
    """The layout of a file with this header; `more` are fields of it."""
    names = [*[""] * (dialect.extra < 0), *header, *[""] * (dialect.extra > 0)]
    return Layout(dialect, tuple(_named(names)), stated=stated, **more)


def _without_name(header: list[str], dialect: Dialect) -> list[bool]:
    """Of each column of the file."""
    before, after = [True] * (dialect.extra < 0), [True] * (dialect.extra > 0)
    return [*before, *(not name for name in header), *after]


def _named(header: list[str]) -> list[str]:
    """The names in a header; one without is called `Unnamed: 0` after its position, or `Unnamed: 0.1` and so on where that is taken."""
    taken = set(header)
    names = []
    for position, name in enumerate(header):
        unnamed = f"Unnamed: {position}"
        more = (f"{unnamed}.{number}" for number in count(1))
        own = name or next(each for each in chain([unnamed], more) if each not in taken)
        names.append(own)
    return names


def _parsing(dialect: Dialect) -> Any:
    from pyarrow import csv

    return csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        escape_char=dialect.escape or False,
        newlines_in_values=True,
    )


def _converting(layout: Layout, wanted: list[str] | None) -> Any:
    """A nameless column without values is read too, and refused where a later row has a value in it."""
    from pyarrow import csv

    return csv.ConvertOptions(
        null_values=list(layout.missing),
        strings_can_be_null=True,
        decimal_point=layout.dialect.decimal,
        include_columns=None if wanted is None else [*wanted, *layout.nameless],
        column_types=dict.fromkeys(layout.nameless, pa.null())
        | dict.fromkeys(layout.texts, pa.string()),
    )


@contextmanager
def _parsed(location: Location | WebFile) -> Iterator[None]:
    with readable(location.uri, location.pointer):
        try:
            yield
        except (pa.ArrowInvalid, UnicodeError) as error:
            raise InvalidData(
                f"{location.uri!r} is not CSV with a header line and as many values in each row as in the header; mend the file, or say in data.csv how it is written: {error}",
                location.pointer,
            ) from error
