"""A table and the separate table for its test metrics, as one: the test rows follow the others."""

import pyarrow as pa
import pyarrow.types as pt

from trainyard.datasets.tables.columns import check_usable, is_date, is_numeric, is_text, plain
from trainyard.errors import InvalidData


def joined(column: pa.ChunkedArray, test: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Both columns in a type that holds both; strings stay strings. Nothing is copied where the types agree.

    Raises `InvalidData` at `/data/test_uri` where the test table holds strings and the other numbers.
    """
    check_usable(name, test.type, "/data/test_uri")
    column, test = plain(column), plain(test)
    kind = common_type(column.type, test.type)
    if kind is None:
        raise InvalidData(
            f"the column {name!r} is {test.type} in the test table, and {column.type} in the training table; write it in one type in both",
            "/data/test_uri",
        )
    return pa.chunked_array([*column.cast(kind).chunks, *test.cast(kind).chunks], kind)


def common_type(kind: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """A type that holds the values of both; None for numbers in the first and text in the other."""
    if kind == other or pt.is_null(other):
        return kind
    if pt.is_null(kind) or is_text(kind):
        return other if pt.is_null(kind) else pa.large_string()
    if is_date(kind) and is_date(other):
        zone, others = getattr(kind, "tz", None), getattr(other, "tz", None)
        return pa.timestamp("us", zone) if (zone is None) == (others is None) else None
    if not all(is_numeric(each) or pt.is_boolean(each) for each in (kind, other)):
        return None
    return pa.float64() if pt.is_floating(kind) or pt.is_floating(other) else pa.int64()
