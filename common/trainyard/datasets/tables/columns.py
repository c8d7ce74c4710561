"""One Arrow column to numpy: numbers stay what they are, everything with names becomes codes."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.datasets.tables.stored import (
    bare,
    bare_type,
    is_bytes,
    is_named_by_bytes,
    is_span,
    seconds,
    text_of,
)
from trainyard.errors import InvalidData

LARGEST = float(np.finfo(np.float32).max)
LARGEST_WHOLE_FLOAT = 2**53
"""Beyond it neighbouring whole numbers are one float64."""


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without a dictionary around its values, decimals as float64, half floats as float32.

    String views become large strings, as Arrow can do little with the former. Bytes become text, and spans of
    time seconds, as `stored` says.
    """
    column = bare(column)
    kind = column.type
    if pt.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if is_span(kind):
        return seconds(column)
    if is_bytes(kind):
        return text_of(column)
    if pt.is_decimal(kind):
        return column.cast(pa.float64())
    if pt.is_string_view(kind):
        return column.cast(pa.large_string())
    return column.cast(pa.float32()) if pt.is_float16(kind) else column


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are strings."""
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are numbers."""
    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))


def is_date(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are dates or timestamps."""
    return bool(pt.is_date(kind) or pt.is_timestamp(kind))


def check_usable(name: str, kind: pa.DataType, pointer: str) -> None:
    """Raise `InvalidData` for a type no model here can train on."""
    kind = kind.value_type if pt.is_dictionary(kind) else bare_type(kind)
    if is_text(kind) or is_numeric(kind) or pt.is_boolean(kind) or pt.is_null(kind):
        return
    if is_date(kind) or is_span(kind) or is_named_by_bytes(kind):
        return
    cure = "name another target" if pointer == "/data/target" else "drop it"
    if pt.is_interval(kind):
        raise InvalidData(
            f"the column {name!r} holds intervals of months, days and more ({kind}); {cure}, or write it as a number in the table, such as days",
            pointer,
        )
    if is_bytes(kind):
        raise InvalidData(
            f"the column {name!r} holds bytes that are not UTF-8 text; save the table in UTF-8, say the encoding of a CSV in data.csv, or {cure}",
            pointer,
        )
    raise InvalidData(
        f"the column {name!r} is of type {kind}; {cure}{_instead(name, kind)}: numbers, strings, booleans, dates and times can be trained on",
        pointer,
    )


def _instead(name: str, kind: pa.DataType) -> str:
    """What to do with several values in one, where they matter."""
    if pt.is_struct(kind):
        shown = ", ".join(repr(f"{name}.{field.name}") for field in list(kind)[:3])
        return f", or write its fields as columns of their own, such as {shown}" if shown else ""
    if pt.is_nested(kind):
        return ", or write what matters of it as columns of their own, such as its length, its mean, or a column a value"
    return ""


def check_magnitude(values: npt.NDArray[Any], what: str, pointer: str) -> None:
    """Raise `InvalidData` for finite numbers beyond float32, in which models calculate; NaN passes."""
    # Two passes without a copy, for the millions of rows in which nothing is found.
    if max(np.fmax.reduce(values, initial=0), -np.fmin.reduce(values, initial=0)) > LARGEST:
        huge = values[np.abs(values) > LARGEST]
        raise InvalidData(
            f"the {what} is {float(huge[0])!r} in one of {len(huge)} such rows, and models take numbers from -{LARGEST:.2g} to {LARGEST:.2g}; leave those rows out, or divide the column",
            pointer,
        )


def check_whole_numbers(column: pa.ChunkedArray, what: str, pointer: str) -> None:
    """Raise `InvalidData` for integers that a float64, in which they become features and targets, does not hold."""
    kind = column.type.value_type if pt.is_dictionary(column.type) else column.type
    is_whole = pt.is_int64(kind) or pt.is_uint64(kind) or (pt.is_decimal(kind) and kind.scale <= 0)
    if not is_whole:
        return
    bounds = pc.min_max(column.cast(kind)).as_py()
    huge = max(bounds.values(), key=lambda each: abs(each or 0))
    if abs(huge or 0) > LARGEST_WHOLE_FLOAT:
        raise InvalidData(
            f"the {what} holds {huge}, and whole numbers up to {LARGEST_WHOLE_FLOAT:,} can be told apart; drop it if it is an identifier, or divide it in the table",
            pointer,
        )


def missing(column: pa.ChunkedArray) -> int:
    """How many values are null or NaN."""
    nans = pc.sum(pc.is_nan(column)).as_py() if pt.is_floating(column.type) else 0
    return int(column.null_count) + int(nans or 0)


def numbers(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """The values as (n,) of the column's own dtype; as float64 with NaN where integers or booleans are missing."""
    column = plain(column)
    if pt.is_boolean(column.type) and column.null_count:
        column = column.cast(pa.uint8()).cast(pa.float64())
    return np.asarray(column.to_numpy())


def codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], list[Any]]:
    """Each value's position in the list of distinct values, (n,), -1 where missing; and that list."""
    column = plain(column)
    if pt.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    encoded = column.dictionary_encode().unify_dictionaries()
    values = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
    found = [np.asarray(pc.fill_null(chunk.indices, -1)) for chunk in encoded.chunks]
    return np.concatenate(found or [np.empty(0)]).astype(np.int32, copy=False), values
