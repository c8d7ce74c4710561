"""The metrics of a scoring: predictions are kept beside what is true until all are there."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.contract import Task
from trainyard.datasets.scoring.rows import RowsToScore, Truth
from trainyard.trainer import Part
from trainyard.worker.champion import aligned, places
from trainyard.worker.evaluation import evaluate
from trainyard.worker.scored_model import Predicted

MOST_NUMBERS = 25_000_000
"""Predictions that are kept, 8 bytes each: 5,000,000 rows of four classes, say."""


class Measured:
    """Gathers predictions. `left_out` says in words why there are no metrics; it is empty while there may be some."""

    def __init__(self, rows: RowsToScore, prefix: str) -> None:
        self._truth = rows.truth
        self._total = rows.total
        self._prefix = prefix
        self.left_out = "" if rows.truth is not None else rows.no_truth
        self._parts: list[npt.NDArray[np.float64]] = []
        self._labels: tuple[Any, ...] | None = None

    def add(self, predicted: Predicted) -> None:
        """Keep the predictions of the next rows."""
        numbers = self._total * (len(predicted.labels) if predicted.labels else 1)
        if not self.left_out and numbers > MOST_NUMBERS:
            self.left_out = f"{numbers:,} predictions would have to be kept for them, and up to {MOST_NUMBERS:,} are"
            self._parts.clear()
        if not self.left_out:
            self._parts.append(predicted.values)
            self._labels = predicted.labels

    def metrics(self) -> dict[str, float]:
        """The metrics by name; none where they are left out."""
        if self.left_out or self._truth is None or not self._parts:
            return {}
        predicted = np.concatenate(self._parts)
        self._parts.clear()
        if self._truth.order is not None:
            predicted = predicted[self._truth.order]
        task = Task.REGRESSION if self._labels is None else Task.CLASSIFICATION
        predicted, truth = _in_common(predicted, self._labels, self._truth)
        part = Part(None, truth.y, truth.weight)
        return evaluate(task, predicted, part, truth.classes, self._prefix)


def _in_common(
    predicted: npt.NDArray[np.float64], labels: tuple[Any, ...] | None, truth: Truth
) -> tuple[npt.NDArray[np.float64], Truth]:
    """Both over the classes that the model or the data knows, sorted where that is one kind of values."""
    if labels is None or truth.classes is None:
        return predicted, truth
    theirs = zip(truth.classes, places(truth.classes, labels), strict=True)
    meant = [label if place < 0 else labels[place] for label, place in theirs]
    known = {str(label): label for label in (*meant, *labels)}
    try:
        classes = tuple(sorted(known.values()))
    except TypeError:  # text for the one and numbers for the other
        classes = tuple(known.values())
    at = {str(label): place for place, label in enumerate(classes)}
    ranks = np.array([at[str(label)] for label in meant])
    named = [str(label) for label in labels]
    return aligned(predicted, named, classes), Truth(ranks[truth.y], classes, truth.weight)
