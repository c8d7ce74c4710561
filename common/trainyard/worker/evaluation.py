"""How good predictions are, in scikit-learn's words."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from trainyard.contract import Task
from trainyard.trainer import Part

Array = npt.NDArray[Any]
METRICS = {
    Task.CLASSIFICATION: (
        "roc_auc",
        "average_precision",
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "precision_macro",
        "recall_macro",
        "log_loss",
    ),
    Task.REGRESSION: ("root_mean_squared_error", "mean_absolute_error", "r2"),
}
"""What can be reported for each task; `average_precision` for two classes only."""


def evaluate(
    task: Task, predicted: Array, part: Part, classes: tuple[Any, ...] | None, prefix: str
) -> dict[str, float]:
    """Metrics by name, each `PREFIX_` and scikit-learn's name, weighted by `part.weight` where it is given.

    `predicted`: class probabilities of (n, classes), or values of (n,). Macro averages are over the
    classes that occur; what is undefined for this part, such as ROC AUC where one class occurs, is left out.
    """
    found = (
        _classification(predicted, part, classes or ())
        if task is Task.CLASSIFICATION
        else _regression(predicted, part)
    )
    return {f"{prefix}_{name}": float(value) for name, value in found.items() if np.isfinite(value)}


def _regression(predicted: Array, part: Part) -> dict[str, float]:
    found = {
        "root_mean_squared_error": metrics.root_mean_squared_error(
            part.y, predicted, sample_weight=part.weight
        ),
        "mean_absolute_error": metrics.mean_absolute_error(
            part.y, predicted, sample_weight=part.weight
        ),
    }
    if len(part) > 1:
        found["r2"] = metrics.r2_score(part.y, predicted, sample_weight=part.weight)
    return found


def _classification(predicted: Array, part: Part, classes: tuple[Any, ...]) -> dict[str, float]:
    y, weight = part.y, part.weight
    probabilities = np.asarray(predicted, dtype=np.float64)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    chosen = probabilities.argmax(axis=1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        y, chosen, zero_division=0, sample_weight=weight
    )
    occurs = np.isin(np.union1d(y, chosen), y)
    found = {
        "accuracy": metrics.accuracy_score(y, chosen, sample_weight=weight),
        "balanced_accuracy": np.mean(recall[occurs]),
        "f1_macro": np.mean(f1),
        "precision_macro": np.mean(precision),
        "recall_macro": np.mean(recall),
        "log_loss": metrics.log_loss(
            y, probabilities, labels=np.arange(len(classes)), sample_weight=weight
        ),
    }
    binary = len(classes) == 2
    areas = [
        metrics.roc_auc_score(y == index, probabilities[:, index], sample_weight=weight)
        for index in ([1] if binary else range(len(classes)))
        if 0 < np.count_nonzero(y == index) < len(y)
    ]
    if areas:
        found["roc_auc"] = float(np.mean(areas))
    if binary and y.any():
        found["average_precision"] = metrics.average_precision_score(
            y, probabilities[:, 1], sample_weight=weight
        )
    return found
