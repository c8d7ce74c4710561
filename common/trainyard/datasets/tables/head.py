"""The names of a table's columns, at submit."""

from trainyard.contract import FileData
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.addresses import locate
from trainyard.datasets.sources.http import WebFile
from trainyard.datasets.sources.memory import little_memory
from trainyard.datasets.tables import delimited, parquet
from trainyard.datasets.tables.delta import table_at
from trainyard.datasets.tables.formats import format_of, is_seen_whole


def column_names(uri: str, spec: FileData, access: DataAccess, pointer: str) -> list[str] | None:
    """The columns; None where a look costs the whole file. Raises `InvalidData`."""
    with little_memory(uri, pointer):
        location = locate(uri, access, pointer)
        if pointer == "/data/uri":
            location = table_at(location, spec)
        if is_seen_whole(location, spec):
            return None
        if isinstance(location, WebFile) or format_of(location, spec) == "csv":
            return list(delimited.first_rows(location, spec.csv).rows.column_names)
        return list(parquet.schema(location, all_files=False).names)
