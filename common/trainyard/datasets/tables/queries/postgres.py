"""PostgreSQL by ADBC: one SELECT, in a transaction that may only read, and sees one state of the database."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pyarrow as pa

from trainyard.datasets.sources.connections import without_secrets
from trainyard.datasets.tables.queries.answer import (
    Answer,
    TookTooLong,
    no_select,
    one_statement,
    refused,
)
from trainyard.errors import InvalidData

CONNECT_SECONDS = 5


@contextmanager
def asked(uri: str, query: str, *, name: str, seconds: float) -> Iterator[Answer]:
    """The answer. Raises `InvalidData`, and `TookTooLong` at the limit."""
    try:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise InvalidData(
            f"{name!r} is PostgreSQL, and this service cannot ask it; install trainyard[sql], which brings its driver",
            "/data/connection",
        ) from error
    query = one_statement(query)
    try:
        connection = dbapi.connect(_patient(uri))
    except Error as error:
        raise InvalidData(
            f"{name!r} cannot be reached: {_said(error, uri)}", "/data/connection"
        ) from error
    deadline = time.monotonic() + seconds
    try:
        with closing(connection), closing(connection.cursor()) as cursor:
            cursor.execute("SET TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ")
            cursor.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            schema = cursor.adbc_execute_schema(query)
            if not len(schema):
                raise no_select(name)
            yield Answer(pa.schema(map(_plain_field, schema)), _batches(cursor, query))
    except (Error, _Broken) as error:
        if time.monotonic() >= deadline:
            raise TookTooLong(name, seconds) from error
        raise refused(name, _said(error, uri)) from error


class _Broken(Exception):
    """An answer that broke off, of which Arrow tells as of a file."""


def _batches(cursor: Any, query: str) -> Iterator[pa.RecordBatch]:
    cursor.execute(query)
    reader = cursor.fetch_record_batch()
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            raise _Broken(str(error)) from error
        yield pa.RecordBatch.from_arrays(
            [_plain(column) for column in batch.columns],
            schema=pa.schema(map(_plain_field, batch.schema)),
        )


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _plain_type(field.type))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """What Arrow has no type for comes as text: numbers of any precision are numbers, and the others stay text."""
    if isinstance(kind, pa.OpaqueType):
        return pa.float64() if kind.type_name == "numeric" else kind.storage_type
    return kind.storage_type if isinstance(kind, pa.JsonType) else kind


def _plain(column: pa.Array) -> pa.Array:
    kind = _plain_type(column.type)
    return column if kind == column.type else column.storage.cast(kind)


def _patient(uri: str) -> str:
    """The URI with a limit to how long a connection takes."""
    if "connect_timeout=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}connect_timeout={CONNECT_SECONDS}"


def _said(error: Exception, uri: str) -> str:
    """In PostgreSQL's words, without the query, which the caller has."""
    text = str(error).partition("\n\nQuery was:")[0].partition(". SQLSTATE")[0]
    return without_secrets(text.strip(), uri)
