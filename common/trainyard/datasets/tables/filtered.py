"""The rows that meet a request's conditions, by Arrow's expressions: Parquet skips what they rule out."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.contract import Condition
from trainyard.datasets.tables.columns import is_date, is_text
from trainyard.errors import InvalidData
from trainyard.suggestions import suggestion

COMPARED = {
    "==": pc.Expression.__eq__,
    "!=": pc.Expression.__ne__,
    "<": pc.Expression.__lt__,
    "<=": pc.Expression.__le__,
    ">": pc.Expression.__gt__,
    ">=": pc.Expression.__ge__,
}
ORDERED = frozenset({"<", "<=", ">", ">="})


def expression(conditions: Sequence[Condition], schema: pa.Schema) -> Any:
    """What a row must meet, as a `pyarrow.compute.Expression`; None where there are no conditions.

    Raises `InvalidData` for a column that is not there, and a value that its type has not.
    """
    whole = None
    for position, each in enumerate(conditions):
        one = _one(each, schema, f"/data/filter/{position}")
        whole = one if whole is None else whole & one
    return whole


def to_read(wanted: Sequence[str], conditions: Sequence[Condition]) -> list[str]:
    """The columns to read: those wanted, and those that tell which rows count."""
    return list(dict.fromkeys([*wanted, *(each.column for each in conditions)]))


def filtered(table: Any, conditions: Sequence[Condition]) -> Any:
    """The rows of a table, or of a record batch, that meet the conditions. Raises `InvalidData`."""
    wanted = expression(conditions, table.schema)
    return table if wanted is None else table.filter(wanted)


def _one(condition: Condition, schema: pa.Schema, pointer: str) -> Any:
    name = condition.column
    if name not in schema.names:
        hint = suggestion(name, schema.names, otherwise="the columns are")
        raise InvalidData(f"{name!r} is not a column; {hint}", f"{pointer}/column")
    field, kind = pc.field(name), _plain(schema.field(name).type)
    absent = field.is_null(nan_is_null=True)
    if condition.op in {"is null", "is not null"}:
        return absent if condition.op == "is null" else ~absent
    values = compared_with(condition, schema, pointer)
    if any(each.type != schema.field(name).type for each in values):
        kind = next((each.type for each in values if each.type != kind), kind)
        field = field.cast(kind)
    if condition.op in COMPARED:
        return COMPARED[condition.op](field, values[0]) & ~absent
    within = field.isin(pa.array([each.as_py() for each in values], kind))
    return within if condition.op == "in" else ~within & ~absent


def compared_with(
    condition: Condition, schema: pa.Schema, pointer: str = "/data/filter"
) -> list[pa.Scalar]:
    """The values of a condition in the type of its column; a fraction that whole numbers are compared with stays one."""
    asked = condition.value if isinstance(condition.value, list) else [condition.value]
    kind = _plain(schema.field(condition.column).type)
    ordered = condition.op in ORDERED
    return [_value(each, kind, condition.column, pointer, fractions=ordered) for each in asked]


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type to compare in: that of a categorical's values."""
    return kind.value_type if pt.is_dictionary(kind) else kind


def _value(
    value: object, kind: pa.DataType, name: str, pointer: str, *, fractions: bool
) -> pa.Scalar:
    """The value in the column's type. Raises `InvalidData` where it has no such value."""
    why = _misfit(value, kind)
    if why is None:
        try:
            if fractions and isinstance(value, float) and pt.is_integer(kind):
                return pa.scalar(value, pa.float64())
            return _scalar(value, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            why = f"holds {_said(kind)}"
    raise InvalidData(
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
