"""The metrics of `evaluation`, for many weightings of the same rows at once: what a bootstrap asks for.

Each is scikit-learn's definition, written as sums over rows, so that a thousand resamples are a few products of
matrices; a test holds each against scikit-learn. A row of weight 0 counts as not there.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from trainyard.contract import Task

Array = npt.NDArray[Any]
Statistic = Callable[[Array], Array]
"""From weights of (b, n) to a metric of (b,), NaN where it is undefined."""

ROUNDING = 1e-12
"""A spread below this share of the second moment is what is left of subtracting two equal sums."""


def statistic(metric: str, predicted: Array, y: Array, task: Task) -> Statistic:
    """The metric of these predictions: `predicted` is probabilities of (n, classes) or values of (n,), `y` of (n,)."""
    if task is Task.REGRESSION:
        return _regression(metric, np.asarray(predicted, dtype=np.float64), y)
    probabilities = np.asarray(predicted, dtype=np.float64)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return _classification(metric, probabilities, y)


def _regression(metric: str, predicted: Array, y: Array) -> Statistic:
    squared = (y - predicted) ** 2
    if metric == "root_mean_squared_error":
        mean = _mean(squared)
        return lambda weights: np.sqrt(mean(weights))
    if metric == "mean_absolute_error":
        return _mean(np.abs(y - predicted))
    if metric == "r2":
        return _r2(squared, y)
    raise KeyError(metric)


def _classification(metric: str, probabilities: Array, y: Array) -> Statistic:
    chosen = probabilities.argmax(axis=1)
    if metric == "accuracy":
        return _mean((chosen == y).astype(np.float64))
    if metric == "log_loss":
        least = np.finfo(np.float64).eps
        of_truth = np.clip(probabilities[np.arange(len(y)), y], least, 1 - least)
        return _mean(-np.log(of_truth))
    if metric in {"balanced_accuracy", "f1_macro", "precision_macro", "recall_macro"}:
        return _by_class(metric, chosen, y, probabilities.shape[1])
    if metric == "average_precision":
        return _average_precision(probabilities[:, 1], y == 1)
    if metric == "roc_auc":
        binary = probabilities.shape[1] == 2
        columns = [1] if binary else range(probabilities.shape[1])
        return _mean_area([_area(probabilities[:, index], y == index) for index in columns])
    raise KeyError(metric)


def _mean(values: Array) -> Statistic:
    return lambda weights: weights @ values / weights.sum(axis=1)


def _r2(squared: Array, y: Array) -> Statistic:
    """Where a resample's targets are all alike: 1 without an error and else 0, as scikit-learn has it."""
    centred = y - y.mean()

    def of(weights: Array) -> Array:
        error, second_moment = weights @ squared, weights @ centred**2
        spread = second_moment - (weights @ centred) ** 2 / weights.sum(axis=1)
        alike = spread <= ROUNDING * second_moment
        share = np.divide(error, spread, out=(error > 0).astype(np.float64), where=~alike)
        found: Array = 1 - share
        return found

    return of


def _by_class(metric: str, chosen: Array, y: Array, classes: int) -> Statistic:
    """Macro averages, over the classes that occur in a resample."""
    truth, guess, hit = (
        _indicator(labels, rows, len(y), classes)
        for labels, rows in (
            (y, np.arange(len(y))),
            (chosen, np.arange(len(y))),
            (y[chosen == y], np.flatnonzero(chosen == y)),
        )
    )

    def of(weights: Array) -> Array:
        support, predicted, right = (_sums(each, weights) for each in (truth, guess, hit))
        if metric == "balanced_accuracy":
            occurs = support > 0
            share = _ratio(right, support)
        else:
            occurs = (support > 0) | (predicted > 0)
            share = {
                "precision_macro": lambda: _ratio(right, predicted),
                "recall_macro": lambda: _ratio(right, support),
                "f1_macro": lambda: _ratio(2 * right, support + predicted),
            }[metric]()
        found: Array = np.where(occurs, share, 0.0).sum(axis=0) / occurs.sum(axis=0)
        return found

    return of


def _indicator(labels: Array, rows: Array, length: int, classes: int) -> sparse.csr_array:
    """(classes, length): 1 where a row has the class."""
    return sparse.csr_array((np.ones(len(rows)), (labels, rows)), shape=(classes, length))


def _sums(indicator: sparse.csr_array, weights: Array) -> Array:
    """The weight of each class in each resample: (classes, b)."""
    found: Array = indicator @ weights.T
    return found


def _over(part: Array, whole: Array) -> Array:
    """NaN where there is nothing to divide by."""
    found: Array = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return found


def _ratio(part: Array, whole: Array) -> Array:
    """0 where there is nothing to divide by, as `zero_division=0` has it."""
    found: Array = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return found


def _area(scores: Array, positive: Array) -> Statistic:
    """The area under the ROC curve: the weight of pairs in the right order, ties by half (Mann and Whitney).

    Negative rows count by how many are below a positive one, so those between two positive ones are summed at once.
    """
    order = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    ones = np.flatnonzero(positive)
    lower = np.searchsorted(scores[order], scores[ones], side="left")
    upper = np.searchsorted(scores[order], scores[ones], side="right")
    cuts = np.unique(np.concatenate([lower, upper, [len(order)]]))
    between = np.searchsorted(cuts, np.arange(len(order)), side="right")
    negative = _indicator(between, order, len(scores), len(cuts))
    first, last = np.searchsorted(cuts, lower), np.searchsorted(cuts, upper)

    def of(weights: Array) -> Array:
        below = np.cumsum(_sums(negative, weights), axis=0)
        mine = weights[:, ones]
        pairs = np.einsum("bi,ib->b", mine, below[first] + below[last]) / 2
        return _over(pairs, mine.sum(axis=1) * below[-1])

    return of


def _mean_area(areas: list[Statistic]) -> Statistic:
    """Over the classes of which some rows are and some are not in the resample."""

    def of(weights: Array) -> Array:
        found = np.stack([area(weights) for area in areas])
        known = ~np.isnan(found)
        with np.errstate(invalid="ignore"):
            mean: Array = np.where(known, found, 0.0).sum(axis=0) / known.sum(axis=0)
        return mean

    return of


def _average_precision(scores: Array, positive: Array) -> Statistic:
    """The sum over thresholds of precision times the recall that the threshold adds; equal scores are one threshold."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = positive[order].astype(np.float64)

    def of(weights: Array) -> Array:
        sorted_weights = weights[:, order]
        taken = np.cumsum(sorted_weights, axis=1)[:, ends]
        right = np.cumsum(sorted_weights * hits, axis=1)[:, ends]
        added = np.diff(right, axis=1, prepend=0.0)
        gained = (added * _ratio(right, taken)).sum(axis=1)
        all_right = right[:, -1]
        return _over(gained, all_right)

    return of
