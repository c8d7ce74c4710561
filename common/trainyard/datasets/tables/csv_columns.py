"""A CSV that does not fit in memory: its text in a temporary Parquet file, of which a column can be read by itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables import csv
from trainyard.datasets.tables.dialects.dialect import Layout
from trainyard.datasets.tables.on_disk import disk_full_told


def one_by_one(
    location: Location, layout: Layout, wanted: list[str]
) -> Callable[[str], pa.ChunkedArray]:
    """What reads a column of all rows, in the type that it has where the whole is read. Raises `InvalidData`, `DiskFull`."""
    from pyarrow import parquet

    file = Path(mkdtemp()) / "text.parquet"
    as_text = replace(layout, texts=frozenset(wanted))
    schema = pa.schema([(name, pa.string()) for name in wanted])
    with disk_full_told(), parquet.ParquetWriter(file, schema) as writer:
        for batch in csv.in_batches(location, as_text, wanted):
            writer.write_batch(batch)

    def column(name: str) -> pa.ChunkedArray:
        text = parquet.read_table(file, columns=[name]).column(name)
        return typed(text, layout)

    return column


def typed(text: pa.ChunkedArray, layout: Layout) -> pa.ChunkedArray:
    """Text in the type that holds all of it, as pyarrow tells it: it is given the column as a CSV of its own."""
    from pyarrow import csv as arrow

    filled = pc.fill_null(text, layout.missing[0]) if layout.missing else text
    lines = pa.BufferOutputStream()
    arrow.write_csv(pa.table([filled], ["x"]), lines, arrow.WriteOptions(include_header=False))
    converting = arrow.ConvertOptions(
        null_values=list(layout.missing),
        strings_can_be_null=True,
        decimal_point=layout.dialect.decimal,
    )
    read = arrow.read_csv(
        pa.BufferReader(lines.getvalue()),
        arrow.ReadOptions(column_names=["x"]),
        arrow.ParseOptions(newlines_in_values=True),
        converting,
    )
    return read.column("x")
