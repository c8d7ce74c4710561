"""The delimiter, quotes, preamble and decimal mark of a CSV, from its first rows.

Each way to write a CSV is tried, and the one in which most lines have as many values as the header is taken; of
equals the plainer one.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from trainyard.datasets.tables.dialects.dialect import Dialect

DELIMITERS = (",", ";", "\t", "|")
QUOTINGS = (('"', ""), ('"', "\\"), ("'", ""))
SAMPLE_CHARACTERS = 1 << 16
FEWEST_LINES = 20
MOST_PREAMBLE = 100
SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?")
"""What Excel reads and writes before the header."""
NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*")
COMMA, POINT = re.compile(r"\s*[+-]?\d*,\d+\s*"), re.compile(r"\s*[+-]?\d*\.\d+\s*")
THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*")


@dataclass(frozen=True)
class _Row:
    line: int
    """How many lines come before it."""
    lines: int
    values: list[str]


@dataclass(frozen=True)
class _Trial:
    dialect: Dialect
    rows: list[_Row]
    """From the header on."""
    share: float
    """Of the lines from the header on, in rows with as many values as most."""

    @property
    def rank(self) -> tuple[float, int, int]:
        """A line that is left out may be the header of another way to write the file."""
        width = len(self.rows[0].values) if self.rows else 0
        share = round(self.share, 3) if width > 1 else 0.0
        return (share, -self.dialect.skip_rows, width)


def dialect_of(text: str, asked: Dialect, stated: frozenset[str]) -> Dialect:
    """How the CSV that begins with `text` is written; what is in `stated` is as `asked` has it."""
    lines = _sampled(text)
    separator = SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    if separator and "skip_rows" not in stated:
        found = dialect_of(
            "".join(lines[1:]), replace(asked, delimiter=separator[1]), stated | {"delimiter"}
        )
        return replace(found, skip_rows=found.skip_rows + 1)
    delimiters = (asked.delimiter,) if "delimiter" in stated else DELIMITERS
    quotings = [
        (quote, escape)
        for quote, escape in QUOTINGS
        if ("quote" not in stated or quote == '"') and ("escape" not in stated or not escape)
    ]
    best = None
    for (quote, escape), delimiter in product(quotings, delimiters):
        trial = _tried(
            lines,
            replace(
                asked,
                delimiter=delimiter,
                quote=asked.quote if "quote" in stated else quote,
                escape=asked.escape if "escape" in stated else escape,
            ),
            stated,
        )
        if best is None or trial.rank > best.rank:
            best = trial
        if delimiter == delimiters[-1] and best.rank[0] == 1.0:
            break
    if best is None or best.rank[0] == 0.0:
        return asked
    if "decimal" in stated or best.dialect.delimiter == ",":
        return best.dialect
    return replace(best.dialect, decimal=_decimal(best.rows))


def _sampled(text: str) -> list[str]:
    """The first lines, each with its end; the last, which may be cut, left out."""
    lines = list(io.StringIO(text[: 2 * SAMPLE_CHARACTERS], newline=""))
    if len(lines) < FEWEST_LINES and len(text) > 2 * SAMPLE_CHARACTERS:
        lines = list(io.StringIO(text, newline=""))[: FEWEST_LINES + 1]
    return lines[:-1] if len(lines) > 2 and not lines[-1].endswith(("\n", "\r")) else lines


def _tried(lines: Sequence[str], dialect: Dialect, stated: frozenset[str]) -> _Trial:
    skip = dialect.skip_rows
    rows = _rows(lines[skip:], dialect)
    if not rows:
        return _Trial(dialect, [], 0.0)
    width, _ = Counter(len(row.values) for row in rows[1:] or rows).most_common(1)[0]
    start = 0 if "skip_rows" in stated else _header(rows, width)
    rows = rows[start:]
    skip += rows[0].line
    extra = _extra(rows, width) if dialect.header else 0
    wanted = {width, len(rows[0].values)} if extra else {len(rows[0].values)}
    fitting = sum(row.lines for row in rows if len(row.values) in wanted)
    total = len(lines) - skip - sum(not line.strip() for line in lines[skip:])
    share = min(1.0, fitting / max(total, 1))
    return _Trial(replace(dialect, skip_rows=skip, extra=extra), rows, share)


def _extra(rows: Sequence[_Row], width: int) -> int:
    """1 where each row ends in an empty value that the header has no name for, -1 where it begins with a row's name."""
    if not 1 < len(rows[0].values) == width - 1:
        return 0
    full = [row.values for row in rows[1:] if len(row.values) == width]
    if all(not values[-1] for values in full):
        return 1
    return -1 if len({values[0] for values in full}) == len(full) > 1 else 0


def _rows(lines: Sequence[str], dialect: Dialect) -> list[_Row]:
    """Up to the first that cannot be read so, empty lines left out."""
    reader = csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or None,
        escapechar=dialect.escape or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        strict=True,
    )
    rows: list[_Row] = []
    before = 0
    while True:
        try:
            values = next(reader, None)
        except csv.Error:
            return rows
        if values is None:
            return rows
        if values:
            rows.append(_Row(before, reader.line_num - before, values))
        before = reader.line_num


def _header(rows: Sequence[_Row], width: int) -> int:
    """The position of the header, after lines that are no part of the table."""
    first = next((at for at, row in enumerate(rows[:MOST_PREAMBLE]) if len(row.values) == width), 0)
    if width < 2:
        return 0
    while first + 1 < len(rows) and _is_comment(rows[first]) and _is_header(rows[first + 1], width):
        first += 1
    before = rows[first - 1] if first else None
    if before and len(before.values) == width - 1 > 1 and not _is_header(rows[first], width):
        return first if _is_comment(before) else first - 1
    return first


def _is_comment(row: _Row) -> bool:
    return row.values[0].startswith("#")


def _is_header(row: _Row, width: int) -> bool:
    """Whether it may be one: no number, and a name nearly everywhere."""
    if len(row.values) != width or _is_comment(row):
        return False
    return all(row.values[:-1]) and not any(NUMBER.fullmatch(value) for value in row.values)


def _decimal(rows: Sequence[_Row]) -> str:
    """A comma where columns have one for certain, and none has a point."""
    kinds = [
        _marks([row.values[at] for row in rows[1:] if at < len(row.values)])
        for at in range(len(rows[0].values))
    ]
    return "," if "," in kinds and "." not in kinds else "."


def _marks(values: Sequence[str]) -> str:
    """The decimal mark of one column; empty where it has none, or none for certain."""
    present = [value for value in values if value.strip()]
    if not present or not all(NUMBER.fullmatch(value) for value in present):
        return ""
    pointed = [value for value in present if POINT.fullmatch(value)]
    if pointed and not all(THOUSANDS.fullmatch(value.replace(".", ",")) for value in pointed):
        return "."
    return (
        ","
        if any(COMMA.fullmatch(each) and not THOUSANDS.fullmatch(each) for each in present)
        else ""
    )
