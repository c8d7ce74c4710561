"""The names of a table's columns, at submit."""

from collections.abc import Callable

import pyarrow as pa

from trainyard.contract import AnyTable, DataVersion, FileData
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.addresses import locate
from trainyard.datasets.sources.memory import little_memory
from trainyard.datasets.tables.inspection import counting, head_of, seen
from trainyard.datasets.tables.selection import Selection

Names = list[str] | None
"""None where a look costs the whole table."""


def column_names(spec: AnyTable, access: DataAccess) -> tuple[DataVersion | None, Names]:
    """The version that counts, of a table that has versions, and the columns. Raises `InvalidData`."""
    names: list[str] = []
    with little_memory(spec.address, spec.pointer):
        version, _ = seen(spec, access, _noting(names))
    return version, names or None


def column_names_of_tests(spec: FileData, uri: str, access: DataAccess) -> Names:
    """The columns of the separate table for the test metrics. Raises `InvalidData`."""
    names: list[str] = []
    with little_memory(uri, "/data/test_uri"):
        head_of(counting(locate(uri, access, "/data/test_uri"), spec), spec, _noting(names))
    return names or None


def _noting(names: list[str]) -> Callable[[pa.Schema], Selection]:
    def note(schema: pa.Schema) -> Selection:
        names.extend(schema.names)
        return Selection((), schema.names[0])

    return note
