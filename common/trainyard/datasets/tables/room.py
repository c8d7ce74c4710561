"""How much memory a table takes, from what its files say of themselves, beside what a run may use."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.types as pt

from trainyard.contract import AnyTable
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.redaction import redacted
from trainyard.errors import InvalidData

BYTES_OF_TEXT = 24
"""A value: as Arrow has it while it is read, by experience; a few bytes afterwards, as a category."""
TIMES = 2.5
"""Of the table's own size: what training on it whole takes, with a library's copy of it and what is made for each row."""
BYTES_A_ROW = 64
"""In batches: target, part, weight, gradients and predictions of a row, and some columns while they are read."""
BYTES_A_ROW_DIVIDED = 120
"""While rows are divided, before there are bins: scikit-learn's stratified split holds lists of them."""
BYTES_A_ROW_JUDGED = 100
"""Of the test rows' predictions, metrics and resamples in the process that asks the champion, and of what it copies."""
BYTES_JUDGED = 80 << 20
"""Of that process, however small the table."""
BYTES_A_VALUE = 1
"""In batches: the bin of a value. Each of several workers has those of its own rows that train, and all others."""
FOR_ALL = 0.2
"""Of all rows, about those that each worker has: they validate."""


@dataclass(frozen=True)
class Size:
    """The rows and columns to train on, and what they take as numbers in memory."""

    rows: int
    columns: int
    row_bytes: int

    @property
    def total(self) -> int:
        """Bytes."""
        return self.rows * self.row_bytes

    def fits(self, access: DataAccess) -> bool:
        """Whether a run may hold it whole, and train."""
        return access.memory_mb is None or self.total * TIMES <= access.memory_mb << 20

    def in_batches(self, access: DataAccess) -> float:
        """Bytes a row that a run holds which is trained in batches."""
        bins = self.columns * BYTES_A_VALUE * (FOR_ALL + (1 - FOR_ALL) / access.workers)
        judged = BYTES_A_ROW_JUDGED if access.judged else 0
        return max(BYTES_A_ROW + bins, BYTES_A_ROW_DIVIDED) + judged

    def fits_in_batches(self, access: DataAccess) -> bool:
        """Whether a run may hold what is left of it when it is read in batches."""
        held = self.rows * self.in_batches(access) + (BYTES_JUDGED if access.judged else 0)
        return access.memory_mb is None or held <= access.memory_mb << 20

    def said(self, access: DataAccess) -> str:
        """In words."""
        return f"the table of about {self.rows:,} rows x {self.columns:,} columns takes {self.total / 1e9:,.2f} GB in memory, and {TIMES:g} times that to train on, where a run has {(access.memory_mb or 0) / 1000:,.2f} GB beside its libraries"


def size_of(schema: pa.Schema, rows: int, columns: Sequence[str]) -> Size:
    """Of these columns of a table that has so many rows."""
    widths = dict(zip(schema.names, map(_width, schema.types), strict=True))
    return Size(rows, len(columns), sum(widths[name] for name in columns))


def check_room(size: Size, access: DataAccess, spec: AnyTable, *, needs_whole: str | None) -> None:
    """Raise `InvalidData` for a table that can be trained on neither whole nor in batches."""
    if size.fits(access):
        return
    uri = redacted(spec.address)
    cure = "give the service more memory (TRAINYARD_MEMORY_MB says how much it may use), or train on fewer rows or columns"
    if needs_whole is not None:
        raise InvalidData(
            f"{uri!r} is too large: {size.said(access)}; {needs_whole}: {cure}", spec.pointer
        )
    if spec.test_uri is not None:
        raise InvalidData(
            f"{uri!r} is too large for a separate test table beside it: {size.said(access)}; leave test_uri out, or {cure}",
            "/data/test_uri",
        )
    if not size.fits_in_batches(access):
        own = f", with {access.workers} workers" if access.workers > 1 else ""
        judged = ", and with it the champion is judged" if access.judged else ""
        raise InvalidData(
            f"{uri!r} is too large, even in batches: {size.said(access)}, and each row takes {size.in_batches(access):.0f} bytes in batches{own}{judged}; {cure}",
            spec.pointer,
        )


def _width(kind: pa.DataType) -> int:
    """Bytes a value takes in a frame, or as Arrow's text."""
    if pt.is_dictionary(kind):
        return 4
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return BYTES_OF_TEXT
