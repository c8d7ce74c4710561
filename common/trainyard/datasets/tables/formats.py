"""Which format a table is in: what the spec says, or the ending of its name."""

from collections.abc import Sequence
from typing import Literal

from trainyard.contract import AnyTable, Condition
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables import packed, parquet
from trainyard.datasets.tables.parts import PARQUET, delimited_parts, is_delimited, visible
from trainyard.errors import InvalidData

ZIP = ".zip"
Format = Literal["csv", "parquet"]


def format_of(location: Location | WebFile, spec: AnyTable) -> Format:
    """The format to read the table in. Raises `InvalidData` where neither spec nor name tells it."""
    if location.files is not None:
        if spec.format is not None:
            return spec.format
        has_parquet = any(file.lower().endswith(PARQUET) for file in visible(location.files))
        return "csv" if not has_parquet and delimited_parts(location.files) else "parquet"
    if spec.format is not None:
        return spec.format
    path = location.path.lower()
    if path.endswith(PARQUET):
        return "parquet"
    if is_delimited(path) or path.endswith(ZIP):
        return "csv"
    raise InvalidData(
        f"{location.uri!r} does not end in .csv, .csv.gz, .zip, .tsv, .txt or .parquet; say which it is, and save a table of another kind as CSV or Parquet",
        "/data/format",
    )


def is_seen_whole(location: Location | WebFile, spec: AnyTable) -> bool:
    """Whether a look costs the whole file: one from the web whose description is at its end. Raises `InvalidData`."""
    if not isinstance(location, WebFile):
        return False
    if format_of(location, spec) == "parquet":
        parquet.check_web(location)
        return True
    if location.path.lower().endswith(ZIP):
        packed.check_web(location)
        return True
    return False


def check_has_rows(
    rows: int, location: Location | WebFile, conditions: Sequence[Condition]
) -> None:
    """Raise `InvalidData` for a table without rows, or without one that counts."""
    if not rows and conditions:
        said = " and ".join(str(each) for each in conditions)
        raise InvalidData(f"no row of {location.uri!r} meets {said}", "/data/filter")
    if not rows:
        raise InvalidData(f"{location.uri!r} has a header and no rows", location.pointer)
