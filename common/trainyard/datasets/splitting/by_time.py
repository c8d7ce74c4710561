"""The newest rows are the test, the ones before them validate, the oldest train."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.contract import Split
from trainyard.datasets.splitting.key import Key
from trainyard.datasets.splitting.parts import Partition
from trainyard.errors import InvalidData


def divided(key: Key, split: Split) -> Partition:
    """Divide the rows of `key.own` by their times: every row of a part is older than every row of the next.

    Rows of one time stay together. A boundary lies between the two times where the newer part's share is
    nearest to the one asked for, and where two are as near, at the older: the newer part has the tie. Each part
    has one time at least. Rows keep the table's order. The rows of a separate test table are newer than all
    others. Raises `InvalidData` where they are not, or where there are fewer times than parts.
    """
    times, counts = np.unique(key.own, return_counts=True)
    before = np.cumsum(counts) - counts
    validated = split.validation_size > 0
    with_test = not key.test_rows
    _check_enough(times, 1 + validated + with_test, key)
    _check_newer(key)
    test = end = len(times)
    if with_test:
        wanted = len(key.own) * (1 - split.test_size)
        test = _nearest(before, wanted, 1 + validated, end)
    validation = test
    if validated:
        until = len(key.own) if test == end else before[test]
        wanted = until - len(key.own) * split.validation_size
        validation = _nearest(before, wanted, 1, test)
    return _partition(key, times, validation, test)


def profile(key: Key, partition: Partition) -> dict[str, Any]:
    """The first and the last time of each part: `train_from`, `train_until`, `validation_from` and so on."""
    values = {part: key.values[rows] for part, rows in partition.parts.items()}
    return {
        f"{part}_{edge}": key.said(found)
        for part, each in values.items()
        for edge, found in (("from", each.min()), ("until", each.max()))
    }


def _nearest(before: npt.NDArray[np.int64], wanted: float, first: int, end: int) -> int:
    """The position in `first..end - 1` before which the number of rows is nearest to `wanted`."""
    return first + int(np.abs(before[first:end] - wanted).argmin())


def _partition(key: Key, times: npt.NDArray[Any], validation: int, test: int) -> Partition:
    """The rows whose times lie before, from and from on the positions of two times."""
    values = key.own
    is_test = values >= times[test] if test < len(times) else np.zeros(len(values), dtype=np.bool_)
    is_train = values < times[validation] if validation < len(times) else ~is_test
    return Partition(
        np.flatnonzero(is_train),
        np.flatnonzero(~is_train & ~is_test) if validation < test else None,
        np.flatnonzero(is_test) if test < len(times) else None,
    )


def _check_enough(times: npt.NDArray[Any], parts: int, key: Key) -> None:
    if len(times) < parts:
        raise InvalidData(
            f"the column {key.column!r} has {len(times)} distinct time(s), and {parts} parts need one each; add rows of other times, or divide by another column",
            "/split/column",
        )


def _check_newer(key: Key) -> None:
    if key.test_rows and key.tested.min() <= key.own.max():
        raise InvalidData(
            f"the test table begins at {key.said(key.tested.min())} of {key.column!r}, and the training table ends at {key.said(key.own.max())}; by time all test rows must be newer: leave the older ones out of the test table, or the newer ones out of the training table",
            "/data/test_uri",
        )
