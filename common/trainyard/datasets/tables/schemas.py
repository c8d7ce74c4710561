"""Part files of one table whose columns differ, as tables that grew over years do: one schema for all of them."""

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa
import pyarrow.types as pt

from trainyard.datasets.tables.columns import is_date, is_numeric, is_text
from trainyard.datasets.tables.stored import is_bytes

LONGEST_NAME = 100


def unified(parts: Sequence[pa.Schema], apart: pa.Schema) -> pa.Schema:
    """A schema that holds the rows of all `parts`, and after their columns those that stand `apart` from them.

    Integers become floats where a part has floats, narrow types wide ones, dates times where a part has times, and
    a column of nothing but missing values what it is elsewhere. Columns that only later parts have follow the first
    one's. Raises pa.ArrowTypeError, which names the column, for text in one part and numbers in another.
    """
    whole = parts[0]
    if any(not part.equals(whole) for part in parts):
        timed = {each.name for part in parts for each in part if pt.is_timestamp(each.type)}
        whole = pa.unify_schemas(
            [_plain(part, timed) for part in parts], promote_options="permissive"
        )
    return pa.schema([*whole, *apart], metadata=parts[0].metadata)


def without(schema: pa.Schema, names: Collection[str]) -> pa.Schema:
    """The schema without these columns."""
    kept = [field for field in schema if field.name not in names]
    return pa.schema(kept, metadata=schema.metadata) if len(kept) < len(schema) else schema


def differences(parts: Mapping[str, pa.Schema], whole: pa.Schema, uri: str) -> list[str]:
    """A sentence for each column that not all files have, or that is of another kind in some of them."""
    if len(set(map(_shape, parts.values()))) < 2:
        return []
    found = [_difference(field, parts, uri) for field in whole]
    return [each for each in found if each is not None]


def contradiction(parts: Mapping[str, pa.Schema]) -> str | None:
    """Of files that cannot be unified, a column that is to blame; None where that is not plain."""
    for name, kinds in _contradictions(parts).items():
        said = " and ".join(f"{kind} in {file!r}" for kind, file in [*kinds.items()][:2])
        return f"the column {name!r} is {said}; write it in one type in all files"
    return None


def contradictory(parts: Mapping[str, pa.Schema]) -> frozenset[str]:
    """The columns that are of kinds which nothing but text holds together."""
    return frozenset(_contradictions(parts))


def _contradictions(parts: Mapping[str, pa.Schema]) -> dict[str, dict[str, str]]:
    """Of each such column, the kinds, each with the first file that has it."""
    found: dict[str, dict[str, str]] = {}
    for file, part in parts.items():
        for field in part:
            if not pt.is_null(field.type):
                found.setdefault(field.name, {}).setdefault(_kind(field.type), file)
    return {name: kinds for name, kinds in found.items() if not _is_one(set(kinds))}


def _is_one(kinds: set[str]) -> bool:
    """Whether a type holds the values of all these kinds."""
    return len(kinds) < 2 or kinds == {"whole numbers", "numbers"}


def _difference(field: pa.Field, parts: Mapping[str, pa.Schema], uri: str) -> str | None:
    has = {
        file: part.field(field.name).type
        for file, part in parts.items()
        if field.name in part.names
    }
    if not has:
        return None  # of the partition's folders
    if lacking := [file for file in parts if file not in has]:
        return f"the column {field.name!r} is not in {len(lacking)} of {len(parts)} files of {uri!r}, such as {lacking[0][:LONGEST_NAME]!r}, and is missing in their rows"
    kinds = {_kind(kind): None for kind in has.values() if not pt.is_null(kind)}
    if len(kinds) < 2:
        return None
    return f"the column {field.name!r} is {' in some files and '.join(kinds)} in others of {uri!r}, and is read as {_kind(field.type)}"


def _shape(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((field.name, _kind(field.type)) for field in schema))


def _kind(kind: pa.DataType) -> str:
    """The kind of values in words."""
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    if is_text(kind) or is_bytes(kind):
        return "text"
    if pt.is_integer(kind):
        return "whole numbers"
    if is_numeric(kind):
        return "numbers"
    return f"dates ({kind})" if is_date(kind) else str(kind)


def _plain(schema: pa.Schema, timed: Collection[str]) -> pa.Schema:
    """With text of one type, as a pandas categorical in one file is often a plain string in another; and times for dates."""
    return pa.schema(
        field.with_type(_plain_type(field.type, is_timed=field.name in timed)) for field in schema
    )


def _plain_type(kind: pa.DataType, *, is_timed: bool) -> pa.DataType:
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    if is_text(kind):
        return pa.large_string()
    return pa.timestamp("us") if is_timed and pt.is_date(kind) else kind
