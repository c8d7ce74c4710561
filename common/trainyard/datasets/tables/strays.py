"""Rows that are none of the table: a header that is repeated, units or types under it, a comment, a total.

Tables that were made for people to read have them. They turn numbers into text and a missing label into a puzzle, so
where something is wrong with the target they are looked for, and the row is told of rather than what follows from it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.datasets.tables.columns import is_numeric
from trainyard.datasets.tables.recognition.marks import is_mark
from trainyard.errors import InvalidData

TOTALS = frozenset(
    {
        *("total", "totals", "grand total", "subtotal", "sub-total", "summe", "gesamt"),
        *("insgesamt", "gesamtsumme", "zwischensumme", "somme", "total général", "totale", "suma"),
        *("totaal", "totalt", "razem", "итого", "всего", "合计", "总计", "合計", "総計", "합계"),
    }
)
"""What stands beside the sum of other rows, without regard to case."""
MOST_COLUMNS = 50
"""Looked at, of wide tables: such a row shows in any of them."""
SAMPLE_ROWS = 200
SHOWN, LONGEST_SHOWN = 4, 40
NUMBER = re.compile(r"\W*\d[\d\W]*")
RULE = re.compile(r"[-=_:|]{2,}")
"""As between the header and the rows of a table in a text."""
COMMENT_SHARE = 0.05
"""Of all rows; where more begin so, it is how values are written."""


def is_total(word: Any) -> bool:
    """Whether the text says that its row adds others up."""
    return isinstance(word, str) and word.strip().rstrip(":").casefold() in TOTALS


def totals_of(column: pa.ChunkedArray) -> list[str]:
    """The first text of the column that says so, if there is one; it may have a million different texts."""
    bare = pc.utf8_rtrim(pc.utf8_trim_whitespace(column), characters=":")
    are_totals = pc.is_in(pc.utf8_lower(bare), pa.array(sorted(TOTALS), column.type))
    found: list[str] = column.filter(are_totals).slice(0, 1).to_pylist()
    return found


class _Looked(Mapping[str, pa.ChunkedArray]):
    """The target, and the first of the other columns, which need not be in memory."""

    def __init__(self, columns: Any, target: str, column: pa.ChunkedArray) -> None:
        others = (name for name in columns if name != target)
        self._names = [target, *islice(others, MOST_COLUMNS)]
        self._columns, self._column = columns, column

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self._column if name == self._names[0] else self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@contextmanager
def told(columns: Any, target: str, column: pa.ChunkedArray) -> Iterator[None]:
    """What is wrong with a target is told by the row that is none of the table, where there is one. Raises `InvalidData`.

    `columns` are the others, by name; where they are not in memory, each is read when it is looked at, and only where
    something is wrong.
    """
    found = _Looked(columns, target, column)
    _check(_repeated(found, target), found, target)
    try:
        yield
    except InvalidData as error:
        for look in (_of_units, _total, _comment) if len(column) else ():
            _check(look(found, target), found, target, error)
        raise


def _check(
    stray: tuple[int, str] | None,
    columns: Mapping[str, pa.ChunkedArray],
    target: str,
    error: InvalidData | None = None,
) -> None:
    """Raise `InvalidData` for a row that was found, at its position and with what it is."""
    if stray is None:
        return
    at, what = stray
    rows, label = len(columns[target]), columns[target][at].as_py()
    values = ((name, column[at].as_py()) for name, column in islice(columns.items(), SHOWN))
    shown = ", ".join(f"{name!r}: {_shown(value)}" for name, value in values)
    condition = {"column": target, "op": "is not null"}
    if label is not None:
        condition = {"column": target, "op": "!=", "value": label}
    raise InvalidData(
        f"row {at + 1:,} of {rows:,} ({shown}) {what}; take it out of the table, or set data.filter to {json.dumps([condition], ensure_ascii=False, default=str)}",
        "/data/target",
    ) from error


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    return repr(value[:LONGEST_SHOWN] if isinstance(value, str) else value)


def _repeated(columns: Mapping[str, pa.ChunkedArray], target: str) -> tuple[int, str] | None:
    """Where the names of the columns stand among their values."""
    column = columns[target]
    at = pc.index(column, target).as_py() if _is_text(column) else -1
    if at < 0:
        return None
    alike = (name for name, each in columns.items() if name != target and each[at].as_py() == name)
    if next(alike, None) is None:
        return None
    return at, "repeats the header, as where files were put together with theirs"


def _of_units(columns: Mapping[str, pa.ChunkedArray], target: str) -> tuple[int, str] | None:
    """Where the first row has words over columns of numbers."""
    if not _is_odd(columns[target], 0):
        return None
    heads = (each.slice(0, SAMPLE_ROWS).to_pylist() for each in columns.values())
    if not any(map(_is_worded, heads)):
        return None
    return 0, "holds no values, but what stands under a header: units, types or a line"


def _is_worded(values: list[Any]) -> bool:
    """Whether there are numbers in text, and a word over them."""
    first, rest = values[0], [each for each in values[1:] if each is not None]
    if not isinstance(first, str) or any(map(str.isdigit, first)) or not rest:
        return False
    is_word = RULE.fullmatch(first.strip()) or not is_mark(first)
    return bool(is_word) and all(NUMBER.fullmatch(each) or is_mark(each) for each in rest)


def _total(columns: Mapping[str, pa.ChunkedArray], target: str) -> tuple[int, str] | None:
    """Where the last row says that it adds up the others."""
    last = len(columns[target]) - 1
    if not any(is_total(each[last].as_py()) for each in columns.values()):
        return None
    return last, "adds the others up, as it says"


def _comment(columns: Mapping[str, pa.ChunkedArray], target: str) -> tuple[int, str] | None:
    """Where few rows begin with a number sign."""
    for name, column in columns.items():
        if name == target or not _is_text(column):
            continue
        begins = pc.starts_with(column, "#")
        count = pc.sum(begins).as_py() or 0
        at = pc.index(begins, True).as_py()
        if 0 < count <= COMMENT_SHARE * len(column) and _is_odd(columns[target], at):
            return at, "begins with '#', as a comment does"
    return None


def _is_odd(target: pa.ChunkedArray, at: int) -> bool:
    """Whether the target is missing in this row, or as in no other."""
    value = target[at].as_py()
    if value is None or not (_is_text(target) or is_numeric(target.type)):
        return value is None
    return bool(pc.sum(pc.equal(target, target[at])).as_py() == 1)


def _is_text(column: pa.ChunkedArray) -> bool:
    """Of a type that Arrow can look into: no view, as columns still are that nothing was made of."""
    return bool(pt.is_string(column.type) or pt.is_large_string(column.type))
