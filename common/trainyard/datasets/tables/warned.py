"""What a person should read about a table, as a list of sentences that stays short."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.datasets.tables.recognition.marks import is_mark
from trainyard.datasets.tables.recognition.notation import Notation
from trainyard.datasets.tables.selection import Selection
from trainyard.datasets.tables.suspicions import spelt_alike

FEWEST_ADDED = 5
"""Rows."""
SUM_EXACT = 1e-9
CLASSES = frozenset({"none", "unknown", "missing"})
"""Marks of a missing value that are classes too."""
MOST = 100
"""Sentences. A table of thousands of constant columns needs no sentence for each."""


def of_columns(
    selection: Selection,
    target: Notation | None,
    y: npt.NDArray[Any],
    classes: Sequence[Any] | None,
) -> list[str]:
    """A sentence for each index column that is no feature, and what there is to say of the target `y`, which was text written as `target` says."""
    said = [
        f"the column {name!r} is a pandas index and was left out; name it in features to use it"
        for name in selection.left_out
    ]
    if (alike := spelt_alike([selection.target, *selection.features])) is not None:
        said.append(
            f"the columns {alike[0]} and {alike[1]} are called alike, and are two; names count as they are written, where a model is asked too"
        )
    if target is not None:
        said.append(
            f"the target {selection.target!r} is text, and is read as numbers with {target.words}"
        )
    return [*said, *_of_target(selection.target, y, classes)]


def of_weight(name: str, notation: Notation | None) -> list[str]:
    """A sentence about a weight that was text written as `notation` says; none about one that was numbers."""
    if notation is None:
        return []
    return [f"the weight {name!r} is text, and is read as numbers with {notation.words}"]


def _of_target(name: str, y: npt.NDArray[Any], classes: Sequence[Any] | None) -> list[str]:
    """A sentence where numbers are all the same, or classes nearly so. `y` are the targets of all rows."""
    if classes is None:
        if (y == y[0]).all():
            return [
                f"the target {name!r} is {float(y[0])!r} in every row, so nothing can be learnt"
            ]
        return _of_sum(name, y)
    said = []
    if (alike := spelt_alike(classes)) is not None:
        said.append(
            f"the target {name!r} has {alike[0]} and {alike[1]}, which are two classes; write them alike where they mean the same"
        )
    for at in [at for at, label in enumerate(classes) if _stands_for_none(label)][:1]:
        condition = json.dumps(
            [{"column": name, "op": "!=", "value": classes[at]}], ensure_ascii=False
        )
        said.append(
            f"the target {name!r} is {classes[at]!r} in {int((y == at).sum())} of {len(y)} rows, which is read as a class; where it stands for a missing value, set data.filter to {condition}"
        )
    return said


def _stands_for_none(label: Any) -> bool:
    """Whether a class is called as people write a missing value, and hardly ever a class."""
    return isinstance(label, str) and is_mark(label) and label.strip().casefold() not in CLASSES


def _of_sum(name: str, y: npt.NDArray[Any]) -> list[str]:
    """A sentence where the last number is the sum of the others, which it may be by chance among few."""
    others = float(y[:-1].sum())
    if (
        len(y) <= FEWEST_ADDED
        or y[-1] == 0
        or not np.isclose(y[-1], others, rtol=SUM_EXACT, atol=0)
    ):
        return []
    return [
        f"the target {name!r} is {float(y[-1])!r} in the last row, which is the sum of all others; where it is a total, leave the row out of the table"
    ]


def bounded(sentences: Sequence[str]) -> tuple[str, ...]:
    """The first `MOST`, the last of which says how many more there are."""
    if len(sentences) <= MOST:
        return tuple(sentences)
    return (*sentences[: MOST - 1], f"{len(sentences) - MOST + 1} more columns have such warnings")
