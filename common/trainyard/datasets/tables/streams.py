"""A table read a few rows at a time: some of its columns whole, the others as often as they are asked for."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from trainyard.contract import AnyTable
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables import csv, delimited, parquet
from trainyard.datasets.tables.as_trained import Trained, start_of
from trainyard.datasets.tables.columns import plain
from trainyard.datasets.tables.dialects.dialect import Layout
from trainyard.datasets.tables.formats import check_has_rows, format_of
from trainyard.datasets.tables.joining import common_type, joined
from trainyard.errors import InvalidData
from trainyard.suggestions import suggestion

ROWS_AT_ONCE = 65_536
Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Stream:
    """A table of `rows` rows, whose `whole` columns are in memory and whose `names` come in batches."""

    rows: int
    whole: pa.Table
    schema: pa.Schema
    """Of the columns that come in batches."""
    batches: Callable[[], Batches]
    decimal: str = "."
    """The decimal mark in all of a CSV: with a comma, 1.234 in text are thousands."""


def stream_of(  # noqa: PLR0913 - a table, and how it is read
    location: Location,
    spec: AnyTable,
    *,
    names: list[str],
    whole: list[str],
    most_whole: int,
    trained: Trained = (),
    texts: frozenset[str] = frozenset(),
    as_written: Collection[str] = frozenset(),
    in_memory: bool = True,
) -> Stream:
    """The stream of a file or a folder, for a model that is `trained` on its columns; `texts` are text. Raises `InvalidData`.

    Of a CSV, the columns `as_written` are text where numbers would lose some of what is written.

    Of the columns `whole` those are read that are there, and none where there are more than `most_whole` rows. A CSV
    whose types do not hold to the end is read as a whole, where it may be `in_memory`.
    """
    if format_of(location, spec) == "parquet":
        found = _parquet(location, names, whole, most_whole)
    else:
        start = start_of(location, spec, trained, texts, as_written=as_written)
        found = _delimited(location, start, names, whole, most_whole, in_memory=in_memory)
    check_has_rows(found.rows, location, spec.filter)
    return found


def stream_in_memory(table: pa.Table, *, names: list[str], whole: list[str]) -> Stream:
    """The stream of a table that is in memory."""
    _check_known(table.column_names, names, "/data")
    streamed = table.select(names)
    return Stream(
        table.num_rows,
        table.select([name for name in whole if name in table.column_names]),
        streamed.schema,
        lambda: iter(streamed.to_batches(ROWS_AT_ONCE)),
    )


def one_after_the_other(first: Stream, second: Stream) -> Stream:
    """Both as one, in the types that `joining.joined` gives the two tables. Raises `InvalidData`."""
    fields = [
        pa.field(name, _common(name, first.schema.field(name), second.schema.field(name)))
        for name in first.schema.names
    ]
    schema = pa.schema(fields)
    whole = {
        name: joined(first.whole[name], second.whole[name], name)
        for name in first.whole.column_names
        if name in second.whole.column_names
    }
    return Stream(
        first.rows + second.rows,
        pa.table(whole),
        schema,
        lambda: _cast(_each_of(first.batches, second.batches), schema),
        first.decimal,
    )


def regrouped(batches: Iterable[pa.RecordBatch], rows: int = ROWS_AT_ONCE) -> Iterator[pa.Table]:
    """The same rows in tables of at least `rows`, but for the last: a model asked for few at once is slow."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows:
            waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= rows:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _parquet(location: Location, names: list[str], whole: list[str], most_whole: int) -> Stream:
    known = parquet.schema(location, all_files=True)
    _check_known(known.names, names, location.pointer)
    schema = pa.schema([known.field(name) for name in names])
    rows = parquet.count_rows(location, known)
    there = [name for name in whole if name in known.names and rows <= most_whole]
    return Stream(
        rows,
        parquet.every_row(location, known, there) if there else pa.table({}),
        schema,
        lambda: parquet.in_batches(location, known, names, ROWS_AT_ONCE),
    )


def _delimited(  # noqa: PLR0913 - a table, and how it is read
    location: Location,
    start: delimited.Start,
    names: list[str],
    whole: list[str],
    most_whole: int,
    *,
    in_memory: bool,
) -> Stream:
    """A folder of CSV is read as a whole, for its columns are known when all files are."""
    if isinstance(start, csv.Start):
        return _csv(location, start, names, whole, most_whole, in_memory=in_memory)
    known = start.rows.column_names
    _check_known(known, names, location.pointer)
    there = [name for name in whole if name in known]
    table = delimited.every_row(location, start.layout, list(dict.fromkeys([*names, *there])))
    within = there if table.num_rows <= most_whole else []
    found = stream_in_memory(table, names=names, whole=within)
    return replace(found, decimal=start.layout.dialect.decimal)


def _csv(  # noqa: PLR0913 - a table, and how it is read
    location: Location,
    start: csv.Start,
    names: list[str],
    whole: list[str],
    most_whole: int,
    *,
    in_memory: bool,
) -> Stream:
    """A CSV is read once more beforehand: for its number of rows, and to see whether its types hold to the end.

    Where they do not (1, 2, … and megabytes later 2.5) it is read as a whole, as for a training, if it may be. Raises
    `InvalidData` where it may not.
    """
    header, layout = start.rows.schema, start.layout
    _check_known(header.names, names, location.pointer)
    there = [name for name in whole if name in header.names]
    wanted = list(dict.fromkeys([*names, *there]))
    try:
        rows, kept, schema = _looked_through(location, layout, wanted, there, most_whole)
    except InvalidData:
        if not in_memory:
            raise
        table = delimited.every_row(location, layout, wanted)
        within = there if table.num_rows <= most_whole else []
        found = stream_in_memory(table, names=names, whole=within)
        return replace(found, decimal=layout.dialect.decimal)
    return Stream(
        rows,
        kept,
        pa.schema([schema.field(name) for name in names]),
        lambda: delimited.in_batches(location, layout, names),
        layout.dialect.decimal,
    )


def _looked_through(
    location: Location, layout: Layout, wanted: list[str], whole: list[str], most_whole: int
) -> tuple[int, pa.Table, pa.Schema]:
    """The number of rows, the columns `whole`, and the types of all `wanted`."""
    kept: list[pa.RecordBatch] = []
    rows, schema = 0, pa.schema([(name, pa.null()) for name in wanted])
    for batch in delimited.in_batches(location, layout, wanted):
        rows, schema = rows + batch.num_rows, batch.schema
        kept = [*kept, batch.select(whole)] if rows <= most_whole else []
    return rows, pa.Table.from_batches(kept) if kept and whole else pa.table({}), schema


def _check_known(known: Iterable[str], wanted: Iterable[str], pointer: str) -> None:
    there = dict.fromkeys(known)
    for name in wanted:
        if name not in there:
            hint = suggestion(name, there, otherwise="the columns are")
            raise InvalidData(f"the data has no column {name!r}; {hint}", pointer)


def _common(name: str, first: pa.Field, second: pa.Field) -> pa.DataType:
    kinds = [plain(pa.chunked_array([], each.type)).type for each in (first, second)]
    kind = common_type(*kinds) if kinds[0] != kinds[1] else kinds[0]
    if kind is None:
        raise InvalidData(
            f"the column {name!r} is {second.type} in the test table, and {first.type} in the other",
            "/data/test_uri",
        )
    return kind


def _each_of(*parts: Callable[[], Batches]) -> Batches:
    for part in parts:
        yield from part()


def _cast(batches: Batches, schema: pa.Schema) -> Batches:
    for batch in batches:
        columns = [plain(pa.chunked_array([column])) for column in batch.columns]
        table = pa.table(
            [each.cast(field.type) for each, field in zip(columns, schema, strict=True)],
            schema=schema,
        )
        yield from table.to_batches()
