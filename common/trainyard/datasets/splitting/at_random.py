"""Rows divided at random: exactly what two calls of scikit-learn's `train_test_split` give."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.contract import Split
from trainyard.datasets.splitting.parts import Partition, Rows
from trainyard.errors import InvalidData


def partition(
    y: npt.NDArray[Any], split: Split, *, classes: Sequence[Any] | None, with_test: bool = True
) -> Partition:
    """Divide the rows of `y`: (n,) int64 indices into `classes`, or values when `classes` is None.

    With s = split.seed: `rest, test = train_test_split(rows, test_size=test_size, random_state=s, stratify=y)`, then
    `train, validation = train_test_split(rest, test_size=validation_size / (1 - test_size), random_state=s,
    stratify=y[rest])`. Without `with_test` (the test rows are a table or file of their own) only the second,
    with `validation_size` of all rows. Only classes are stratified. Raises `InvalidData` for too few rows.
    """
    rest, test = np.arange(len(y), dtype=np.int64), None
    stratified = classes if split.stratify else None
    share = split.validation_size
    if with_test:
        rest, test = _divide(rest, y, stratified, split.test_size, split.seed)
        share = split.validation_size / (1 - split.test_size)
    if split.validation_size == 0:
        return Partition(rest, None, test)
    train, validation = _divide(rest, y, stratified, share, split.seed)
    return Partition(train, validation, test)


def _divide(
    rows: Rows, y: npt.NDArray[Any], classes: Sequence[Any] | None, share: float, seed: int
) -> tuple[Rows, Rows]:
    from sklearn.model_selection import train_test_split

    labels = None if classes is None else y[rows]
    if labels is not None and classes is not None:
        _check_classes(labels, y, classes)
    try:
        kept, taken = train_test_split(rows, test_size=share, random_state=seed, stratify=labels)
    except ValueError as error:
        parts = "each part needs a row"
        if labels is not None:
            parts += (
                f", and with split.stratify one of each of the {len(np.unique(labels))} classes"
            )
        raise InvalidData(
            f"{len(rows)} rows cannot be divided with a share of {share:.4g}: {parts}; add rows, or make split.test_size or split.validation_size another",
            "/split",
        ) from error
    return kept, taken


def _check_classes(
    labels: npt.NDArray[Any], of_all: npt.NDArray[Any], classes: Sequence[Any]
) -> None:
    """Raise `InvalidData` for a class of which one row is left; without stratifying, one row may miss the training."""
    counts = np.bincount(labels, minlength=len(classes))
    scarce = int(counts.argmin())
    if counts[scarce] >= 2:
        return
    total = int((of_all == scarce).sum())
    rows = "1 row" if total == 1 else f"{total} rows, of which {counts[scarce]} is left to divide"
    otherwise = "leave it out" if total == 1 else "set split.stratify to false"
    raise InvalidData(
        f"class {classes[scarce]!r} has {rows}, and a stratified split needs at least 2;"
        f" add rows, merge the class with another, or {otherwise}",
        "/split/stratify",
    )
