"""SQLite by Python's own module: one SELECT, on a file that is opened to be read, with a limit on its time.

ADBC's driver runs the first of several statements and says nothing of the others, and cannot be interrupted.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from trainyard.datasets.tables.queries.answer import (
    ROWS_AT_ONCE,
    Answer,
    TookTooLong,
    no_select,
    refused,
)
from trainyard.errors import InvalidData

STEPS = 10_000
"""Of SQLite's machine, between two looks at the clock."""
READS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)


@contextmanager
def asked(path: str, query: str, *, name: str, seconds: float) -> Iterator[Answer]:
    """The answer. Raises `InvalidData`, and `TookTooLong` at the limit."""
    deadline = time.monotonic() + seconds
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)
        connection.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.Error as error:
        raise InvalidData(f"{name!r} cannot be opened: {error}", "/data/connection") from error
    connection.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in READS else sqlite3.SQLITE_DENY
    )
    connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    try:
        with closing(connection):
            found = connection.execute(query)
            if found.description is None:
                raise no_select(name)
            first = _first(found, name)
            yield Answer(first.schema, chain([first], _others(found, first.schema, name)))
    except sqlite3.Error as error:
        if time.monotonic() > deadline:
            raise TookTooLong(name, seconds) from error
        if str(error) == "not authorized":
            raise no_select(name) from error
        raise refused(name, str(error)) from error


def _first(found: sqlite3.Cursor, name: str) -> pa.RecordBatch:
    """The first rows, in the types of their values: SQLite's columns have none that hold."""
    names = [each[0] for each in found.description]
    columns = _columns(found.fetchmany(ROWS_AT_ONCE), len(names))
    arrays = []
    for column, values in zip(names, columns, strict=True):
        try:
            arrays.append(pa.array(values))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _mixed(name, column) from error
    return pa.RecordBatch.from_arrays(arrays, names)


def _others(found: sqlite3.Cursor, schema: pa.Schema, name: str) -> Iterator[pa.RecordBatch]:
    """The rows after those, in the same types."""
    while rows := found.fetchmany(ROWS_AT_ONCE):
        arrays = []
        for field, values in zip(schema, _columns(rows, len(schema)), strict=True):
            try:
                arrays.append(pa.array(values, field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise _mixed(name, field.name) from error
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _columns(rows: list[tuple[Any, ...]], count: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * count


def _mixed(name: str, column: str) -> InvalidData:
    return refused(
        name,
        f"the values of the column {column!r} are of several types, or of others after the first {ROWS_AT_ONCE:,} rows; write CAST({column} AS REAL) or AS TEXT",
    )
