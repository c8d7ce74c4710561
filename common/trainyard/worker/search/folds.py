"""The folds of a search that cross-validates: which rows train and which validate, in turn; the test rows are in none."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trainyard.contract import Split
from trainyard.errors import InvalidData
from trainyard.trainer import Data, Part

POINTER = "/search/cross_validation"
Rows = npt.NDArray[np.int64]
Fold = tuple[Rows, Rows]
"""The rows that train, and those that validate."""


@dataclass(frozen=True)
class Folds:
    """The training and validation rows together, and how each fold divides them."""

    data: Data
    """Its `train` has all the rows."""
    rows: Sequence[Fold]

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, number: int) -> Data:
        """The data of one fold, counted from 0."""
        train, validation = (_taken(self.data.train, rows) for rows in self.rows[number])
        return dataclasses.replace(self.data, train=train, validation=validation)


def folds_of(data: Data, split: Split, count: int) -> Folds:
    """So many folds of the training and validation rows. Raises `InvalidData` where there are too few.

    At random: scikit-learn's `StratifiedKFold`, or `KFold`, with `split.seed`. By group: `GroupKFold`, so that no group
    trains and validates in one fold. By time: `TimeSeriesSplit` of the distinct times, so that each fold trains on
    what is older than what it validates, and its first rows validate in none.
    """
    parts = {"train": data.train, "validation": data.validation}
    there = {name: part for name, part in parts.items() if part is not None}
    whole = _together(list(there.values()))
    keys = [data.keys[name] for name in there] if data.keys else None
    try:
        rows = _divided(whole, data, split, count, None if keys is None else np.concatenate(keys))
    except ValueError as error:
        raise InvalidData(
            f"{len(whole)} rows cannot make {count} folds: {error}", POINTER
        ) from error
    _check_classes(rows, whole, data)
    return Folds(dataclasses.replace(data, train=whole, validation=None), rows)


def averaged(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric that all folds have, and its standard deviation among them as `<metric>_std`."""
    found: dict[str, float] = {}
    for name in folds[0]:
        values = [each[name] for each in folds if name in each]
        if len(values) == len(folds):
            found[name] = float(np.mean(values))
            found[f"{name}_std"] = float(np.std(values))
    return found


def _divided(
    whole: Part, data: Data, split: Split, count: int, keys: npt.NDArray[Any] | None
) -> list[Fold]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    if split.by == "time" and keys is not None:
        times, at = np.unique(keys, return_inverse=True)
        found = TimeSeriesSplit(count).split(times)
        return [(_where(at, older), _where(at, newer)) for older, newer in found]
    if split.by == "group" and keys is not None:
        return list(GroupKFold(count).split(whole.y, groups=keys))
    if data.classes is not None and split.stratify:
        kind = StratifiedKFold(count, shuffle=True, random_state=split.seed)
        return list(kind.split(np.zeros(len(whole)), whole.y))
    return list(KFold(count, shuffle=True, random_state=split.seed).split(whole.y))


def _where(at: npt.NDArray[np.intp], wanted: npt.NDArray[Any]) -> Rows:
    return np.flatnonzero(np.isin(at, wanted))


def _check_classes(rows: Sequence[Fold], whole: Part, data: Data) -> None:
    if data.classes is None:
        return
    for number, (train, _) in enumerate(rows, start=1):
        absent = np.flatnonzero(np.bincount(whole.y[train], minlength=len(data.classes)) == 0)
        if len(absent):
            raise InvalidData(
                f"fold {number} of {len(rows)} has no row of class {data.classes[absent[0]]!r} to train on;"
                " add rows of it, merge it with another class, or leave cross_validation out",
                POINTER,
            )


def _together(parts: Sequence[Part]) -> Part:
    """The rows of all parts; a table's categories are the same in each."""
    frames = [each.x for each in parts]
    x = (
        pd.concat(frames, ignore_index=True)
        if isinstance(frames[0], pd.DataFrame)
        else np.concatenate(frames)
    )
    weights = [each.weight for each in parts if each.weight is not None]
    return Part(
        x, np.concatenate([each.y for each in parts]), np.concatenate(weights) if weights else None
    )


def _taken(part: Part, rows: Rows) -> Part:
    x = (
        part.x.iloc[rows].reset_index(drop=True)
        if isinstance(part.x, pd.DataFrame)
        else part.x[rows]
    )
    return Part(x, part.y[rows], None if part.weight is None else part.weight[rows])
