"""Which format a table is in: what the spec says, or the ending of its name."""

from typing import Literal

from trainyard.contract import FileData
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables.parts import PARQUET
from trainyard.errors import InvalidData

DELIMITED = (".csv", ".tsv", ".txt")
"""Whatever they say, the delimiter is found from the first rows. Each may be packed: .gz, .bz2, .zst."""
Format = Literal["csv", "parquet"]


def format_of(location: Location | WebFile, spec: FileData) -> Format:
    """The format to read the table in. Raises `InvalidData` where neither spec nor name tells it."""
    if location.files is not None:
        if spec.format == "csv":
            raise InvalidData(
                f"{location.uri!r} is a folder, and CSV is read from one file", "/data/format"
            )
        return "parquet"
    if spec.format is not None:
        return spec.format
    path = location.path.lower()
    if path.endswith(PARQUET):
        return "parquet"
    if path.removesuffix(".gz").removesuffix(".bz2").removesuffix(".zst").endswith(DELIMITED):
        return "csv"
    raise InvalidData(
        f"{location.uri!r} does not end in .csv, .csv.gz, .tsv, .txt or .parquet; say which it is",
        "/data/format",
    )


def check_has_rows(rows: int, location: Location | WebFile) -> None:
    """Raise `InvalidData` for a table without rows."""
    if not rows:
        raise InvalidData(f"{location.uri!r} has a header and no rows", location.pointer)
