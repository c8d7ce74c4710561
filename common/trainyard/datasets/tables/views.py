"""Arrow's views of text and bytes, which some writers store in Parquet: Arrow compares and filters hardly any of them."""

from collections.abc import Collection, Iterable, Sequence

import pyarrow as pa
import pyarrow.types as pt

from trainyard.contract import Condition
from trainyard.datasets.tables.columns import is_text


def without_views(schema: pa.Schema) -> pa.Schema:
    """The schema with large strings and large binaries in their place."""
    for at, field in enumerate(schema):
        if (kind := _large(field.type)) is not None:
            schema = schema.set(at, field.with_type(kind))
    return schema


def with_views(schema: pa.Schema, names: Collection[str]) -> pa.Schema:
    """The schema with views in place of the text that these columns hold."""
    for at, field in enumerate(schema):
        if field.name in names and is_text(field.type):
            schema = schema.set(at, field.with_type(pa.string_view()))
    return schema


def viewed(schemas: Iterable[pa.Schema], names: Iterable[str]) -> frozenset[str]:
    """Which of the columns are views in one of the schemas."""
    wanted = frozenset(names)
    return frozenset(
        field.name
        for schema in schemas
        for field in schema
        if field.name in wanted and _large(field.type) is not None
    )


def text_compared(conditions: Sequence[Condition], schema: pa.Schema) -> frozenset[str]:
    """The columns of text that are compared with a value."""
    return frozenset(
        each.column
        for each in conditions
        if each.value is not None and is_text(schema.field(each.column).type)
    )


def _large(kind: pa.DataType) -> pa.DataType | None:
    if pt.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pt.is_binary_view(kind) else None
