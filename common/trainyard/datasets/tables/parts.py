"""Which files of a folder are parts of the table in it, by their names, as Spark and Hive mean them."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

import pyarrow as pa

PARQUET = (".parquet", ".pq", ".parquet.gzip", ".parquet.gz", ".parquet.snappy", ".parquet.zstd")
"""The last ones are Parquet as any other, named after how its pages are packed."""
DELIMITED = (".csv", ".tsv", ".txt")
"""Whatever they say, the delimiter is found from the first rows."""
PACKED = (".gz", ".bz2", ".zst", ".zip")
COPYING = "._COPYING_"
NOTHING = "__HIVE_DEFAULT_PARTITION__"
"""The value of a folder whose rows have none."""
WHOLE_NUMBER = re.compile(r"0|-?[1-9]\d*", re.ASCII)
SAMPLE_FILES = 10
"""Of a folder so many files are opened at submit."""


def visible(files: Iterable[str]) -> list[str]:
    """Those that are no one's bookkeeping: in no folder, and under no name, that begins with a dot or an underscore.

    A folder such as `_year=2020` is one of the table's, and a file that is still being copied is not.
    """
    return [file for file in files if not any(map(_is_hidden, file.split("/")))]


def parquet_parts(files: Iterable[str]) -> list[str]:
    """The visible files that end as Parquet does; where there are none, those without any ending, as Hive writes them."""
    seen = visible(files)
    named = [file for file in seen if file.lower().endswith(PARQUET)]
    return named or [file for file in seen if "." not in file.rpartition("/")[2]]


def delimited_parts(files: Iterable[str]) -> list[str]:
    """The visible files that end as CSV does, packed or not."""
    return [file for file in visible(files) if is_delimited(file)]


def is_delimited(name: str) -> bool:
    """Whether a name ends as that of a CSV, packed or not."""
    bare = name.lower()
    for ending in PACKED:
        bare = bare.removesuffix(ending)
    return bare.endswith(DELIMITED)


def _is_hidden(name: str) -> bool:
    return (
        name.startswith(".") or (name.startswith("_") and "=" not in name) or name.endswith(COPYING)
    )


def partition(files: Iterable[str]) -> pa.Schema:
    """The columns that folders named `column=value` add: whole numbers where all values are, else text.

    Values with a zero before other digits, such as 007, are codes.
    """
    found: dict[str, set[str]] = {}
    for file in files:
        for folder in file.split("/")[:-1]:
            name, equals, value = folder.partition("=")
            if equals:
                found.setdefault(unquote(name), set()).add(value)
    return pa.schema((name, _kind(values - {NOTHING})) for name, values in found.items())


def _kind(values: set[str]) -> pa.DataType:
    if not values or not all(map(WHOLE_NUMBER.fullmatch, values)):
        return pa.string()
    largest = max(abs(int(value)) for value in values)
    return pa.int32() if largest < 2**31 else pa.int64() if largest < 2**63 else pa.string()
