"""DuckDB over the tables below the data roots, and nothing else: no other file, no network, no extension, no setting.

DuckDB itself may open nothing. The tables that a query names are found as those of any request are, so that links
and Delta tables count as they do there, and are given to it as Arrow data sets, of which it reads what it needs.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

import pyarrow as pa

from trainyard.contract import FileData
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.connections import DATA_ROOTS
from trainyard.datasets.sources.local import below_roots
from trainyard.datasets.sources.memory import available_mb
from trainyard.datasets.tables import delimited, parquet
from trainyard.datasets.tables.delta import table_at
from trainyard.datasets.tables.formats import format_of
from trainyard.datasets.tables.queries.answer import (
    QUERY,
    ROWS_AT_ONCE,
    Answer,
    TookTooLong,
    no_select,
    one_statement,
    refused,
)
from trainyard.errors import InvalidData

LOOK_MEMORY_MB = 400
LOCKED = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "max_temp_directory_size": "0B",
}


@contextmanager
def asked(
    query: str, access: DataAccess, *, seconds: float, is_look: bool = False
) -> Iterator[Answer]:
    """The answer. A look takes one thread and little memory, and the first rows of a CSV. Raises `InvalidData`, and `TookTooLong` at the limit."""
    try:
        import duckdb
    except ImportError as error:
        raise InvalidData(
            f"{DATA_ROOTS!r} is DuckDB, which this service has not; install trainyard[sql], which brings it",
            "/data/connection",
        ) from error
    memory = LOOK_MEMORY_MB if is_look else access.memory_mb or available_mb()
    limits = {"memory_limit": f"{memory}MiB", "threads": 1 if is_look else pa.cpu_count()}
    with duckdb.connect(":memory:", config={**LOCKED, **limits}) as database:
        clock = Timer(seconds, database.interrupt)
        clock.daemon = True
        clock.start()
        try:
            for name in _tables(database, query):
                _register(database, name, access, is_look=is_look)
            database.execute("SET lock_configuration = true").fetchall()
            rows = database.sql(one_statement(query))
            if rows is None:
                raise no_select(DATA_ROOTS)
            yield Answer(_schema(rows), _batches(rows))
        except duckdb.InterruptException as error:
            raise TookTooLong(DATA_ROOTS, seconds) from error
        except duckdb.Error as error:
            raise refused(DATA_ROOTS, str(error).partition("\n\nPossible")[0]) from error
        finally:
            clock.cancel()


def _schema(rows: Any) -> pa.Schema:
    """The columns, by the names that the query gives them: an empty table would have x_1 beside X for x."""
    types = rows.limit(0).to_arrow_table().schema
    return pa.schema(
        [field.with_name(name) for field, name in zip(types, rows.columns, strict=True)]
    )


def _batches(rows: Any) -> Iterator[pa.RecordBatch]:
    yield from rows.to_arrow_reader(ROWS_AT_ONCE)


def _tables(database: Any, query: str) -> list[str]:
    """The names after FROM and JOIN of the one SELECT that the query must be, each once, without those of its WITH."""
    told = database.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0]
    tree = json.loads(told)
    if tree["error"]:
        why = str(tree["error_message"])
        raise no_select(DATA_ROOTS) if why.startswith("Only SELECT") else refused(DATA_ROOTS, why)
    if len(tree["statements"]) != 1:
        raise no_select(DATA_ROOTS)
    return list(dict.fromkeys(_named(tree)))


def _named(node: Any, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names of tables in a part of the query where its WITH has made those `known`, without regard to case."""
    if isinstance(node, list):
        for each in node:
            yield from _named(each, known)
    if not isinstance(node, dict):
        return
    if node.get("type") == "BASE_TABLE" and not node.get("schema_name"):
        name = node["table_name"]
        if name.casefold() not in known or _is_path(name):
            yield name
    for each in (node.get("cte_map") or {}).get("map", ()):
        yield from _named(each["value"], known)  # which sees those before it
        known |= {each["key"].casefold()}
    for part, each in node.items():
        itself = node.get("type") == "RECURSIVE_CTE_NODE" and part == "right"
        if part != "cte_map":
            yield from _named(each, known | {node["cte_name"].casefold()} if itself else known)


def _is_path(name: str) -> bool:
    return "/" in name or "." in name


def _register(database: Any, name: str, access: DataAccess, *, is_look: bool) -> None:
    """Give DuckDB the table of this name, where there is one below the data roots. Raises `InvalidData`."""
    try:
        location = below_roots(name, access, QUERY)
    except InvalidData:
        if _is_path(name):
            raise
        return
    spec = FileData(source="file", uri=name, target="-")
    location = table_at(location, spec)
    if format_of(location, spec) == "parquet":
        database.register(name, parquet.dataset_of(location))
        return
    start = delimited.first_rows(location, None, all_files=not is_look)
    names = start.rows.column_names
    database.register(
        name, start.rows if is_look else delimited.every_row(location, start.layout, names)
    )
