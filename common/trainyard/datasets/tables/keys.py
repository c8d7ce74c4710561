"""The column that rows are divided by, as one number a row."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.contract import Split
from trainyard.datasets.splitting.by_column import PARTS, TEST
from trainyard.datasets.splitting.key import Key
from trainyard.datasets.tables.columns import is_numeric, is_text, missing, plain
from trainyard.datasets.tables.times import times, together
from trainyard.errors import InvalidData
from trainyard.suggestions import suggestion

HERE, TESTED = "/split/column", "/data/test_uri"


def key_of(
    split: Split,
    own: pa.ChunkedArray,
    tested: pa.ChunkedArray | None = None,
    test_rows: int = 0,
    *,
    is_complete: bool = True,
) -> Key:
    """The column `split.column` of a table, and of its separate test table of so many rows, as `split.by` reads it.

    By column the test table need not have it: all its rows are test rows. A head is not `is_complete`. Raises `InvalidData` for missing
    values, and for values that the rule cannot divide by.
    """
    name = str(split.column)
    own = _present(own, name, HERE)
    if tested is not None:
        tested = _present(tested, name, TESTED)
    if split.by == "time":
        found = times(own, name, HERE, is_complete=is_complete)
        if tested is not None:
            found = together(found, times(tested, name, TESTED), name)
        return Key(name, found.values, found.said, test_rows)
    if split.by == "group":
        return _by_group(own, tested, name, test_rows)
    values = np.concatenate([_words(own, name), np.full(test_rows, TEST)])
    return Key(name, values, lambda part: PARTS[part], test_rows)


def _by_group(
    own: pa.ChunkedArray, tested: pa.ChunkedArray | None, name: str, test_rows: int
) -> Key:
    """Groups by their positions when sorted, as scikit-learn numbers them."""
    kind = own.type
    if not (is_text(kind) or is_numeric(kind) or pt.is_boolean(kind) or pt.is_temporal(kind)):
        raise InvalidData(
            f"the column {name!r} is of type {kind}; strings, numbers or dates are needed to divide by group",
            HERE,
        )
    both = own if tested is None else _joined(own, tested, name)
    groups = both.unique()
    groups = groups.take(pc.sort_indices(groups))
    # Unlike encoding as a dictionary, which takes minutes to unify where millions of groups lie in many chunks.
    values = np.asarray(pc.index_in(both, value_set=groups).to_numpy())
    return Key(name, values, lambda rank: _json(groups[int(rank)].as_py()), test_rows)


def _words(column: pa.ChunkedArray, name: str) -> npt.NDArray[Any]:
    """The position of each row's word in `PARTS`."""
    if not is_text(column.type):
        raise InvalidData(
            f"the column {name!r} is of type {column.type}; it should say {_choices()} in each row",
            HERE,
        )
    found = pc.index_in(column, value_set=pa.array(PARTS, column.type))
    if found.null_count:
        other = column.filter(pc.is_null(found))[0].as_py()
        hint = suggestion(other, PARTS, otherwise="it should be one of")
        raise InvalidData(
            f"the column {name!r} is {other!r} in one of {found.null_count} such rows, and {_choices()} are known; {hint}",
            HERE,
        )
    return np.asarray(found.to_numpy())


def _joined(own: pa.ChunkedArray, tested: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        return pa.chunked_array([*own.chunks, *tested.cast(own.type).chunks], own.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidData(
            f"the column {name!r} is {tested.type} in the test table, and {own.type} in the training table; write both alike: {error}",
            TESTED,
        ) from error


def _present(column: pa.ChunkedArray, name: str, pointer: str) -> pa.ChunkedArray:
    """The column, plain, if it has a value in each row."""
    column = plain(column)
    if pt.is_string_view(column.type):
        column = column.cast(pa.large_string())
    absent = missing(column)
    if absent:
        raise InvalidData(
            f"the column {name!r} is missing in {absent} of {len(column)} rows, and rows are divided by it; fill it in, or leave those rows out",
            pointer,
        )
    return column


def _choices() -> str:
    return "'train', 'validation' or 'test'"


def _json(value: Any) -> str | int | float:
    return value if isinstance(value, str | int | float) else str(value)
