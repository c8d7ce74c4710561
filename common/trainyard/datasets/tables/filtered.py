"""The rows that meet a request's conditions, by Arrow's expressions: Parquet skips what they rule out."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.contract import Condition
from trainyard.datasets.tables.compared import compared_with
from trainyard.datasets.tables.text_dates import LOOKED_AT, check_order
from trainyard.datasets.tables.views import without_views
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


def expression(
    conditions: Sequence[Condition], schema: pa.Schema, viewed: frozenset[str] = frozenset()
) -> Any:
    """What a row must meet, as a `pyarrow.compute.Expression`; None where there are no conditions.

    The columns `viewed` are views in a file. They are compared as large strings, by which no row group is skipped:
    what Arrow does with the statistics of a view fails.
    Raises `InvalidData` for a column that is not there, and a value that its type has not.
    """
    whole = None
    for position, each in enumerate(conditions):
        one = _one(each, schema, f"/data/filter/{position}", viewed)
        whole = one if whole is None else whole & one
    return whole


def to_read(wanted: Sequence[str], conditions: Sequence[Condition]) -> list[str]:
    """The columns to read: those wanted, and those that tell which rows count."""
    return list(dict.fromkeys([*wanted, *(each.column for each in conditions)]))


def filtered(table: Any, conditions: Sequence[Condition]) -> Any:
    """The rows of a table, or of a record batch, that meet the conditions. Raises `InvalidData`."""
    if not conditions:
        return table
    plain = without_views(table.schema)
    table = table if plain is table.schema else table.cast(plain)
    wanted = expression(conditions, plain)
    check_order(conditions, table.schema, lambda names: table.select(names).slice(0, LOOKED_AT))
    return table.filter(wanted)


def _one(condition: Condition, schema: pa.Schema, pointer: str, viewed: frozenset[str]) -> Any:
    name = condition.column
    if name not in schema.names:
        hint = suggestion(name, schema.names, otherwise="the columns are")
        raise InvalidData(f"{name!r} is not a column; {hint}", f"{pointer}/column")
    field = pc.field(name)
    absent = field.is_null(nan_is_null=True)
    if condition.op in {"is null", "is not null"}:
        return absent if condition.op == "is null" else ~absent
    values = compared_with(condition, schema, pointer)
    kind = pa.large_string() if name in viewed else values[0].type
    if name in viewed or kind != schema.field(name).type:
        field = field.cast(kind)
    if condition.op in COMPARED:
        return COMPARED[condition.op](field, values[0].cast(kind)) & ~absent
    within = field.isin(pa.array([each.as_py() for each in values], kind))
    return within if condition.op == "in" else ~within & ~absent
