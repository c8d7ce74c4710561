"""The answer to a query, and what is wrong with one."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.types as pt

from trainyard.errors import InvalidData

QUERY = "/data/query"
ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Answer:
    """The columns of an answer, and its rows, which are asked for when the first is taken."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class TookTooLong(InvalidData):
    """A query that was ended at its limit."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(
            f"{name!r} was asked for longer than the {seconds:g} s that a query may take (TRAINYARD_QUERY_SECONDS); ask for less",
            QUERY,
        )


def refused(name: str, why: str) -> InvalidData:
    """The error for a query that the database does not take."""
    return InvalidData(f"{name!r} does not answer the query: {why}", QUERY)


def no_select(name: str) -> InvalidData:
    """The error for anything but one SELECT."""
    return refused(name, "it is not one SELECT; write one, and nothing before or after it")


def one_statement(query: str) -> str:
    """The query without the semicolon that ends it, on lines of its own, so that a comment at its end ends there."""
    return query.strip().removesuffix(";") + "\n"


def check_storable(name: str, schema: pa.Schema) -> None:
    """Raise `InvalidData` for a column that no table can hold."""
    for field in schema:
        if pt.is_union(field.type):
            raise refused(
                name,
                f"the column {field.name!r} is of type {field.type}, which holds several types; write one of them, or CAST({field.name} AS TEXT)",
            )
        if pt.is_interval(field.type):
            raise refused(
                name,
                f"the column {field.name!r} is an interval; write EXTRACT(EPOCH FROM …) for its seconds",
            )
