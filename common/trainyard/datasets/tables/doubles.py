"""Rows that are in a table more than once, as they are where a backup lies among its files."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

FEWEST_ROWS = 50
MANY = 0.1
"""Of all rows, the share from which it is worth a word."""
FINE = 0.1
"""Of all rows, so many distinct values one column must have: where all are coarse, rows are alike by chance."""
ODD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: to multiply by it spreads the bits, and loses none as it is odd."""

Hashes = npt.NDArray[np.uint64]


class Doubles:
    """Told of each feature in turn, it keeps a hash of each row, until too few rows are alike."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        """`rows` are those of each part."""
        self._hashes = {part: np.zeros(count, np.uint64) for part, count in rows.items()}
        self._told = {part: np.zeros(count, np.bool_) for part, count in rows.items()}
        self._rows = sum(rows.values())
        self._is_fine, self._is_settled = False, self._rows < FEWEST_ROWS

    def add(self, values: Mapping[str, Any]) -> None:
        """One feature, as an array or a categorical for each part."""
        if self._is_settled:
            return
        for part, each in values.items():
            hashes = self._hashes[part]
            hashes *= ODD
            hashes += _hashes(each)
        if _is_fine(values["train"]):
            self._is_fine = True
            for part, each in values.items():
                self._told[part] |= ~pd.isna(each)
            untold = self._rows - len(self._all)
            self._is_settled = self._alike() + untold < MANY * self._rows

    def said(self, y: Mapping[str, npt.NDArray[Any]]) -> str | None:
        """A sentence where many rows are alike in all features. `y` are the targets of each part."""
        if self._is_settled or not self._is_fine:
            return None
        alike, distinct = self._alike(), _distinct(self._all)
        if alike < MANY * self._rows:
            return None
        targets = np.concatenate([y[part][told] for part, told in self._told.items()])
        with_target = self._all * ODD + _hashes(targets)
        differ = ", some with another target" if _distinct(with_target) > distinct else ""
        return f"{alike} of {self._rows} rows are the same as another in all features{differ}; where they are copies, such as a backup among the files, leave them out, as a row that trains may test too"

    @property
    def _all(self) -> Hashes:
        """Of the rows that have a fine value; others are alike by chance."""
        return np.concatenate([each[self._told[part]] for part, each in self._hashes.items()])

    def _alike(self) -> int:
        """Rows that are the same as another, as far as features were told."""
        same = _same_as_next(self._all)
        alike = np.concatenate([same, [False]])
        alike[1:] |= same
        return int(alike.sum())


def _same_as_next(hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Whether each, of (n,) that are sorted in place, is the next one too: (n - 1,). It takes no memory for a table of times."""
    hashes.sort()
    found: npt.NDArray[np.bool_] = hashes[1:] == hashes[:-1]
    return found


def _distinct(hashes: Hashes) -> int:
    return len(hashes) - int(_same_as_next(hashes).sum())


def _hashes(values: Any) -> Hashes:
    codes = values.codes if isinstance(values, pd.Categorical) else np.asarray(values)
    hashes: Hashes = pd.util.hash_array(codes, categorize=False)
    return hashes


def _is_fine(values: Any) -> bool:
    """By a thousand rows, as most columns are."""
    first = pd.unique(values[:1000])
    return len(first) > FINE * len(values[:1000])
