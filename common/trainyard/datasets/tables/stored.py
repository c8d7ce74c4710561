"""What Parquet and Arrow store that is neither a number nor text, as what it is trained on.

Durations and times of day become seconds. UUIDs become text as people write it; other bytes become the text that
they are in UTF-8, and bytes of a fixed size, such as hashes, hexadecimal digits where they are no text.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def bare_type(kind: pa.DataType) -> pa.DataType:
    """The type without a mark on it that its text is JSON, or that its bytes are booleans."""
    marked = getattr(kind, "extension_name", "")
    if marked == "arrow.json":
        return kind.storage_type
    return pa.bool_() if marked == "arrow.bool8" else kind


def bare(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in its bare type."""
    kind = bare_type(column.type)
    if kind == column.type:
        return column
    chunks = [chunk.storage.cast(kind) for chunk in column.chunks]
    return pa.chunked_array(chunks, kind)


def is_span(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are durations or times of day."""
    return bool(pt.is_duration(kind) or pt.is_time(kind))


def is_uuid(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are UUIDs."""
    return bool(kind == pa.uuid())


def is_named_by_bytes(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are bytes that can always be written as text."""
    return is_uuid(kind) or bool(pt.is_fixed_size_binary(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are bytes, which may be text."""
    return is_named_by_bytes(kind) or bool(
        pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind)
    )


def seconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Durations, or times since midnight, as float64 of seconds."""
    kind = column.type
    whole = column.cast(pa.int32() if pt.is_time32(kind) else pa.int64())
    return pc.divide(whole.cast(pa.float64(), safe=False), float(A_SECOND[kind.unit]))


def text_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as text; bytes of no fixed size that are not UTF-8 stay what they are."""
    if is_uuid(column.type):
        return _mapped(column, str)
    kind = column.type
    plain = column.cast(pa.large_binary()) if pt.is_binary_view(kind) else column
    try:
        return plain.cast(pa.binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        return _mapped(column, bytes.hex) if pt.is_fixed_size_binary(kind) else plain


def _mapped(column: pa.ChunkedArray, written: Callable[[Any], str]) -> pa.ChunkedArray:
    """Each value as text."""
    chunks = [
        pa.array(
            [None if value is None else written(value) for value in chunk.to_pylist()],
            pa.large_string(),
        )
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, pa.large_string())


def said(name: str, kind: pa.DataType) -> str | None:
    """A sentence on how a column of this type is read; None where it is as anybody would expect."""
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    if is_span(kind):
        holds = "times of day" if pt.is_time(kind) else "durations"
        return f"the column {name!r} holds {holds}, and is read as seconds"
    if is_bytes(kind):
        holds = "UUIDs" if is_uuid(kind) else f"bytes ({kind})"
        return f"the column {name!r} holds {holds}, and is read as text"
    return None
