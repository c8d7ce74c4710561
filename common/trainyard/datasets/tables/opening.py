"""From what a request says of a table to a file or folder that can be read in full."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from trainyard.contract import AnyTable, IcebergData, SqlData
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.addresses import opened
from trainyard.datasets.sources.location import Location
from trainyard.datasets.tables import iceberg
from trainyard.datasets.tables.delta import table_at
from trainyard.datasets.tables.queries import kept


@contextmanager
def opened_table(
    spec: AnyTable, access: DataAccess, chosen: iceberg.Chosen = list
) -> Iterator[Location]:
    """The rows that count. Of what must be fetched first, the columns that are `chosen` are. Raises `InvalidData`."""
    if isinstance(spec, SqlData):
        with kept.opened(spec, access) as location:
            yield location
    elif isinstance(spec, IcebergData):
        with iceberg.fetched(spec, access, chosen) as location:
            yield location
    else:
        with opened(spec.uri, access) as found:
            yield replace(table_at(found, spec), conditions=tuple(spec.filter))
