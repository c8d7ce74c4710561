"""Conditions by a date on a column of text, which is compared letter by letter: right for 2024-12-31 alone."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from trainyard.contract import Condition
from trainyard.datasets.tables.columns import is_text
from trainyard.datasets.tables.compared import ORDERED
from trainyard.datasets.tables.recognition.dates import ENOUGH, WRITE, order_of
from trainyard.datasets.tables.recognition.marks import is_mark
from trainyard.errors import InvalidData

IN_ORDER = re.compile(r"\d{4}-\d\d(?:-\d\d(?:[T ].*)?)?")
"""ISO-8601, in which the order of the text is that of time."""
LOOKED_AT = 1_000
"""Rows."""


def check_order(
    conditions: Sequence[Condition],
    schema: pa.Schema,
    first_rows: Callable[[Sequence[str]], Any],
) -> None:
    """Raise `InvalidData` where a condition orders dates whose text has another order; `first_rows` gives columns of some."""
    for position, each in enumerate(conditions):
        if not _is_by_date(each, schema):
            continue
        values = first_rows([each.column])[each.column].to_pylist()
        counts = Counter(word.strip() for word in values if word is not None)
        if (example := _out_of_order(counts)) is not None:
            raise InvalidData(
                f"the column {each.column!r} holds dates as text, such as {example!r}, which {each.op} compares letter by letter, so that {each.value!r} is before or after them by chance; {WRITE}, or as dates in Parquet",
                f"/data/filter/{position}/value",
            )


def _is_by_date(condition: Condition, schema: pa.Schema) -> bool:
    """Whether text is ordered by a date."""
    if condition.op not in ORDERED or not isinstance(condition.value, str):
        return False
    if IN_ORDER.fullmatch(condition.value) is None or condition.column not in schema.names:
        return False
    kind = schema.field(condition.column).type
    return is_text(kind.value_type if pt.is_dictionary(kind) else kind)


def _out_of_order(counts: Counter[str]) -> str | None:
    """One of these values, where they are dates that are written otherwise."""
    words = Counter({word: rows for word, rows in counts.items() if not is_mark(word)})
    others = [word for word in words if IN_ORDER.fullmatch(word) is None]
    few = sum(words[word] for word in others) <= (1 - ENOUGH) * words.total()
    return None if few or order_of(words) is None else others[0]
