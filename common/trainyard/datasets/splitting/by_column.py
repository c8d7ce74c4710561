"""The table says which rows train, validate and test."""

from typing import Any

import numpy as np

from trainyard.contract import Split
from trainyard.datasets.splitting.key import Key
from trainyard.datasets.splitting.parts import Partition
from trainyard.errors import InvalidData

PARTS = ("train", "validation", "test")
"""The words of such a column."""
TRAIN, VALIDATION, TEST = range(3)


def divided(key: Key, split: Split) -> Partition:
    """The rows that `key.own` marks, in the table's order; without a validation part where none is marked so.

    All rows of a separate test table are test rows. Raises `InvalidData` where no row trains or none tests, and
    where both tables have test rows.
    """
    del split  # the shares are the table's
    rows = [np.flatnonzero(key.own == part) for part in range(len(PARTS))]
    _check_some(rows[TRAIN], "train", key)
    if key.test_rows:
        _check_no_test(rows[TEST], key)
    else:
        _check_some(rows[TEST], "test", key)
    return Partition(
        rows[TRAIN],
        rows[VALIDATION] if len(rows[VALIDATION]) else None,
        None if key.test_rows else rows[TEST],
    )


def profile(key: Key, partition: Partition) -> dict[str, Any]:
    """The number of rows of each part."""
    del key
    return {"rows": {part: len(rows) for part, rows in partition.parts.items()}}


def _check_some(rows: Any, part: str, key: Key) -> None:
    if not len(rows):
        raise InvalidData(
            f"no row of {key.column!r} is {part!r}; mark the rows to {part} with {part!r}",
            "/split/column",
        )


def _check_no_test(rows: Any, key: Key) -> None:
    if len(rows):
        raise InvalidData(
            f"{len(rows)} row(s) of {key.column!r} are 'test', and the test rows are those of test_uri; mark these rows otherwise, or leave test_uri out",
            "/data/test_uri",
        )
