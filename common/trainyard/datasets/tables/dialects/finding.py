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
from itertools import product, zip_longest

from trainyard.datasets.tables.dialects.dialect import Dialect

DELIMITERS = (",", ";", "\t", "|")
RARE_DELIMITERS = ("^", "~", "\x01", "\x1f", ":")
"""Looked for where none of the others stands between values; \x01 is Hive's."""
RARE_SHARE = 0.9
"""Of the lines that must have as many values as the header, for such a delimiter to be one."""
QUOTINGS = (('"', ""), ('"', "\\"), ("'", ""))
SAMPLE_CHARACTERS = 1 << 16
FEWEST_LINES = 20
MOST_PREAMBLE = 100
SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?")
"""What Excel reads and writes before the header."""
NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*")
COMMA, POINT = re.compile(r"\s*[+-]?\d*,\d+\s*"), re.compile(r"\s*[+-]?\d*\.\d+\s*")
WHOLE = re.compile(r"\d{1,9}", re.ASCII)
SINGLE_QUOTED = re.compile(r"'[^']*'")
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
    best = _best(lines, asked, stated, DELIMITERS)
    if best.rank[0] == 0.0 and "delimiter" not in stated:
        rare = _best(lines, asked, stated, RARE_DELIMITERS)
        is_headed = rare.dialect.skip_rows == asked.skip_rows
        best = rare if is_headed and rare.rank[0] >= RARE_SHARE else best
    if best.rank[0] == 0.0:
        return asked
    if "quote" not in stated and _has_single_quotes(best.rows):
        single = _tried(lines, replace(best.dialect, quote="'", escape=""), stated)
        best = max(single, best, key=lambda trial: trial.rank)
    if "decimal" in stated or best.dialect.delimiter == ",":
        return best.dialect
    return replace(best.dialect, decimal=_decimal(best.rows))


def _best(
    lines: Sequence[str], asked: Dialect, stated: frozenset[str], likely: Sequence[str]
) -> _Trial:
    """Of all ways to write a CSV with one of the `likely` delimiters, or with the stated one."""
    delimiters = (asked.delimiter,) if "delimiter" in stated else likely
    quotings = [
        (quote, escape)
        for quote, escape in QUOTINGS
        if ("quote" not in stated or quote == '"') and ("escape" not in stated or not escape)
    ]
    best = _Trial(asked, [], -1.0)
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
        if trial.rank > best.rank:
            best = trial
        if delimiter == delimiters[-1] and best.rank[0] == 1.0:
            break
    return best


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
    is_quoted = bool(dialect.quote) and all(
        lines[dialect.skip_rows + row.line].startswith(dialect.quote) for row in rows[1:]
    )
    extra = _extra(rows, width, is_quoted=is_quoted) if dialect.header else 0
    wanted = {width, len(rows[0].values)} if extra else {len(rows[0].values)}
    fitting = sum(row.lines for row in rows if len(row.values) in wanted)
    total = len(lines) - skip - sum(not line.strip() for line in lines[skip:])
    share = min(1.0, fitting / max(total, 1))
    return _Trial(replace(dialect, skip_rows=skip, extra=extra), rows, share)


def _extra(rows: Sequence[_Row], width: int, *, is_quoted: bool) -> int:
    """1 where each row ends in an empty value that the header has no name for, -1 where it begins with a row's name.

    Such names are text, or the rows' numbers: other numbers without quotes are values, of which another has the
    delimiter in it.
    """
    if not 1 < len(rows[0].values) == width - 1:
        return 0
    full = [row.values for row in rows[1:] if len(row.values) == width]
    if all(not values[-1] for values in full):
        return 1
    first = {values[0] for values in full}
    has_numbers = any(NUMBER.fullmatch(value) for value in first)
    are_names = is_quoted or not has_numbers or _are_counted([values[0] for values in full])
    return -1 if len(first) == len(full) > 1 and are_names else 0


def _are_counted(values: Sequence[str]) -> bool:
    """Whether they count the rows from 0 or 1 on."""
    if not all(WHOLE.fullmatch(value) for value in values):
        return False
    return list(map(int, values)) in ([*range(len(values))], [*range(1, len(values) + 1)])


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
    first = _after_titles(rows, first, width)
    before = rows[first - 1] if first else None
    if before and len(before.values) == width - 1 > 1 and not _is_header(rows[first], width):
        return first if _is_comment(before) else first - 1
    return first


def _after_titles(rows: Sequence[_Row], first: int, width: int) -> int:
    """The position of the header after titles that a spreadsheet wrote as wide as the table, with nothing in their last cells."""
    for at in range(first, min(len(rows), MOST_PREAMBLE)):
        row, below = rows[at], rows[at + 1 :]
        if len(row.values) == width and row.values[-1]:
            return at if _is_header(row, width) and _heads(row, below) else first
    return first


def _heads(row: _Row, below: Sequence[_Row]) -> bool:
    """Whether most rows below have a value in the last cell too, and none has a name of its column for a value."""
    filled = sum(bool(each.values[-1]) for each in below)
    repeated = any(
        name == value
        for each in below
        for name, value in zip(row.values, each.values, strict=False)
    )
    return 2 * filled > len(below) and not repeated


def _is_comment(row: _Row) -> bool:
    return row.values[0].startswith("#")


def _is_header(row: _Row, width: int) -> bool:
    """Whether it may be one: no number, and a name nearly everywhere."""
    if len(row.values) != width or _is_comment(row):
        return False
    return all(row.values[:-1]) and not any(NUMBER.fullmatch(value) for value in row.values)


def _has_single_quotes(rows: Sequence[_Row]) -> bool:
    """Whether a column has them around each of its values."""
    columns = zip_longest(*(row.values for row in rows[1:]), fillvalue="")
    return any(_all_quoted([value for value in column if value]) for column in columns)


def _all_quoted(values: Sequence[str]) -> bool:
    return bool(values) and all(SINGLE_QUOTED.fullmatch(value) for value in values)


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
