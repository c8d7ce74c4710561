"""All rows of a group, such as a customer, are in one part."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.contract import Split
from trainyard.datasets.splitting.key import Key
from trainyard.datasets.splitting.parts import Partition, Rows
from trainyard.errors import InvalidData


def divided(key: Key, split: Split) -> Partition:
    """Divide the rows of `key.own` as two calls of scikit-learn's `GroupShuffleSplit` do; shares are of groups.

    With s = split.seed: `rest, test = next(GroupShuffleSplit(1, test_size=test_size, random_state=s).split(rows,
    groups=groups))`, then the same with `test_size=validation_size / (1 - test_size)` on the rest. A separate test
    table has no group of the others. Raises `InvalidData` where it has, or for too few groups.
    """
    rest: Rows = np.arange(len(key.own), dtype=np.int64)
    test = None
    share = split.validation_size
    _check_apart(key)
    if not key.test_rows:
        rest, test = _divide(rest, key, split.test_size, split.seed)
        share = split.validation_size / (1 - split.test_size)
    if split.validation_size == 0:
        return Partition(rest, None, test)
    train, validation = _divide(rest, key, share, split.seed)
    return Partition(train, validation, test)


def profile(key: Key, partition: Partition) -> dict[str, Any]:
    """The number of groups of each part."""
    return {
        "groups": {part: len(_groups(key.values[rows])) for part, rows in partition.parts.items()}
    }


def _divide(rows: Rows, key: Key, share: float, seed: int) -> tuple[Rows, Rows]:
    """The rows whose groups are kept, and those whose groups are taken.

    `GroupShuffleSplit` is `ShuffleSplit` of the sorted groups; that groups are numbered already saves it the
    search for each row's group, which takes most of its time.
    """
    from sklearn.model_selection import ShuffleSplit

    values = key.own[rows]
    groups = _groups(values)
    try:
        _, taken = next(ShuffleSplit(1, test_size=share, random_state=seed).split(groups))
    except ValueError as error:
        raise InvalidData(
            f"{len(groups)} group(s) of {key.column!r} cannot be divided with a share of {share:.4g}, as each part needs a group of its own; divide by another column, or at random",
            "/split/column",
        ) from error
    is_taken = np.zeros(groups[-1] + 1, dtype=np.bool_)
    is_taken[groups[taken]] = True
    return rows[~is_taken[values]], rows[is_taken[values]]


def _groups(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The distinct values, sorted; they are small whole numbers, so that counting finds them without a sort."""
    return np.flatnonzero(np.bincount(values))


def _check_apart(key: Key) -> None:
    both = np.intersect1d(_groups(key.own), _groups(key.tested))
    if len(both):
        raise InvalidData(
            f"{len(both)} group(s) of {key.column!r}, such as {key.said(both[0])!r}, are in the test table and in the training table; leave their rows out of one of them",
            "/data/test_uri",
        )
