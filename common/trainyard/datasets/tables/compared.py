"""The values of a condition in a type in which its column can be compared with them."""

from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.types as pt

from trainyard.contract import Condition
from trainyard.datasets.tables.columns import is_date, is_text
from trainyard.errors import InvalidData

ORDERED = frozenset({"<", "<=", ">", ">="})
MOST_DIGITS, MOST_DIGITS_128 = 76, 38
"""Of Arrow's decimals."""
Raised = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)


def compared_with(
    condition: Condition, schema: pa.Schema, pointer: str = "/data/filter"
) -> list[pa.Scalar]:
    """The values of a condition, all in the type in which its column is compared with them. Raises `InvalidData`.

    That is the column's own, but for categoricals, whose values are compared; half floats, which are compared as
    floats; whole numbers in an order with a fraction or with one that is larger than theirs; and decimals with
    values of more digits.
    """
    asked = condition.value if isinstance(condition.value, list) else [condition.value]
    kind = _plain(schema.field(condition.column).type)
    for value in asked:
        if (why := _misfit(value, kind)) is not None:
            raise _refused(condition.column, why, value, pointer)
    if pt.is_decimal(kind):
        kind = _as_exact(asked, kind)
    if pt.is_integer(kind) and condition.op in ORDERED:
        kind = _as_wide(asked[0], kind)
    return [_value(each, kind, condition.column, pointer) for each in asked]


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type to compare in: that of a categorical's values."""
    return kind.value_type if pt.is_dictionary(kind) else kind


def _as_exact(values: Sequence[object], kind: pa.DataType) -> pa.DataType:
    """Decimals that hold the column and all values; the column's own where they do, or where none can."""
    parts = [Decimal(str(each)).as_tuple() for each in values]
    scales = [-each.exponent for each in parts if isinstance(each.exponent, int)]
    wholes = [len(each.digits) + each.exponent for each in parts if isinstance(each.exponent, int)]
    scale = max([kind.scale, *scales])
    digits = max([kind.precision - kind.scale, *wholes]) + scale
    if digits > MOST_DIGITS or (scale, digits) == (kind.scale, kind.precision):
        return kind
    if digits <= MOST_DIGITS_128 and pt.is_decimal128(kind):
        return pa.decimal128(digits, scale)
    return pa.decimal256(digits, scale)


def _as_wide(value: object, kind: pa.DataType) -> pa.DataType:
    """Numbers in which whole ones have an order with a value that is none of theirs."""
    if isinstance(value, float):
        return pa.float64()
    try:
        pa.scalar(value, kind)
    except Raised:
        return kind if pt.is_uint64(kind) else pa.int64()
    return kind


def _value(value: object, kind: pa.DataType, name: str, pointer: str) -> pa.Scalar:
    """The value in this type. Raises `InvalidData` where it has no such value."""
    try:
        return _scalar(value, kind)
    except Raised:
        raise _refused(name, f"holds {_said(kind)}", value, pointer) from None


def _refused(name: str, why: str, value: object, pointer: str) -> InvalidData:
    return InvalidData(
        f"the column {name!r} {why}, and {value!r} is none of those; give a value such as the column has",
        f"{pointer}/value",
    )


def _misfit(value: object, kind: pa.DataType) -> str | None:
    """Why a value cannot be one of the column's; None where it may be."""
    if pt.is_boolean(kind):
        fits = isinstance(value, bool)
    elif is_text(kind) or is_date(kind):
        fits = isinstance(value, str)
    elif pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        return f"holds {kind}, which a filter does not compare"
    return None if fits else f"holds {_said(kind)}"


def _scalar(value: object, kind: pa.DataType) -> pa.Scalar:
    if pt.is_integer(kind) and isinstance(value, float):
        if not value.is_integer():
            raise pa.ArrowInvalid("Arrow would cut it off")
        value = int(value)
    if is_date(kind):
        return pa.scalar(value, pa.string()).cast(kind)
    if pt.is_decimal(kind):
        return pa.scalar(Decimal(str(value)), kind)
    if pt.is_float16(kind) and isinstance(value, int | float):
        return pa.scalar(float(value), kind).cast(pa.float32())
    return pa.scalar(value, kind)


def _said(kind: pa.DataType) -> str:
    if is_date(kind):
        zone = "" if pt.is_date(kind) or kind.tz is None else ", with a zone"
        return (
            f"dates (such as {'2026-01-31' if pt.is_date(kind) else '2026-01-31T12:00:00'}{zone})"
        )
    if is_text(kind):
        return "text"
    return "true and false" if pt.is_boolean(kind) else f"numbers ({kind})"
