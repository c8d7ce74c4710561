"""Part files of one table whose columns differ, as tables that grew over years do: one schema for all of them."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as pt

from trainyard.datasets.tables.columns import is_text


def unified(first: pa.Schema, parts: Sequence[pa.Schema]) -> pa.Schema:
    """A schema that holds the rows of all `parts`; `first` is that of the first, with the partition's columns.

    Integers become floats where a part has floats, narrow types wide ones, and a column of nothing but missing
    values what it is elsewhere. Columns that only later parts have follow the first one's. Raises
    pa.ArrowTypeError, which names the column, for text in one part and numbers in another.
    """
    if all(part.equals(parts[0]) for part in parts):
        return first
    merged = pa.unify_schemas([_plain(part) for part in parts], promote_options="permissive")
    own = set(merged.names)
    fields = [*merged, *(field for field in first if field.name not in own)]
    return pa.schema(fields, metadata=first.metadata)


def _plain(schema: pa.Schema) -> pa.Schema:
    """With text of one type: a pandas categorical in one file is often a plain string in another."""
    return pa.schema(field.with_type(_plain_type(field.type)) for field in schema)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    return pa.large_string() if is_text(kind) else kind
