"""How sure the difference of two models' metrics on the same rows is: a paired bootstrap.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13: the percentile interval. Both models are
measured on each resample of the rows, so that rows which are hard for both count for neither.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import cpu_count

from trainyard.contract import Task
from trainyard.registry.promotion import Interval
from trainyard.trainer import Part
from trainyard.worker.resampled_metrics import Statistic, statistic

Array = npt.NDArray[Any]
RESAMPLES = 1_000
MOST_ROWS = 50_000
"""Of more rows, so many are resampled, and the deviations scaled down: the m out of n bootstrap, Bickel, Götze and
van Zwet (1997), Resampling fewer than n observations."""
MOST_THREADS = 4
COUNTS_AT_ONCE = 150_000
"""A MB at a time stays in the processor's cache: half the time of three times as many, or of a tenth."""


def interval_of_difference(  # noqa: PLR0913 - two models, their rows, and how
    metric: str,
    mine: Array,
    theirs: Array,
    part: Part,
    classes: tuple[Any, ...] | None,
    *,
    difference: float,
    confidence: float,
    seed: int,
) -> Interval | None:
    """Where the metric of `mine` minus that of `theirs` lies, in 1,000 resamples of the part's rows.

    `metric`: a name of `evaluation.METRICS`. `mine`, `theirs`: probabilities of (n, classes), or values of (n,).
    `difference` is that on all rows. None where the metric is undefined in every resample.
    """
    rng = np.random.default_rng(seed)
    chosen = _chosen(len(part), rng)
    y, weight = part.y[chosen], None if part.weight is None else part.weight[chosen]
    task = Task.REGRESSION if classes is None else Task.CLASSIFICATION
    first, second = (statistic(metric, predicted[chosen], y, task) for predicted in (mine, theirs))
    differences = _differences(first, second, weight, len(y), rng)
    if len(y) < len(part):
        ones = np.ones((1, len(y))) if weight is None else weight[np.newaxis]
        centre = (first(ones) - second(ones))[0]
        differences = difference + (differences - centre) * np.sqrt(len(y) / len(part))
    if np.isnan(differences).all():
        return None
    low, high = np.nanquantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high), confidence)


def _chosen(rows: int, rng: np.random.Generator) -> Array | slice:
    if rows <= MOST_ROWS:
        return slice(None)
    return np.sort(rng.choice(rows, MOST_ROWS, replace=False))


def _differences(
    first: Statistic, second: Statistic, weight: Array | None, rows: int, rng: np.random.Generator
) -> Array:
    """Of each resample. NumPy lets go of Python's lock while it counts and sums, so that threads share the work."""
    at_once = max(1, COUNTS_AT_ONCE // rows)
    sizes = [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]

    def of(resamples: int, own: np.random.Generator) -> Array:
        counts = _counts(resamples, rows, own)
        weights = counts if weight is None else counts * weight
        found: Array = first(weights) - second(weights)
        return found

    with ThreadPoolExecutor(min(cpu_count(), MOST_THREADS)) as threads:
        return np.concatenate(list(threads.map(of, sizes, rng.spawn(len(sizes)))))


def _counts(resamples: int, rows: int, rng: np.random.Generator) -> Array:
    """How often each row is in each resample: (resamples, rows), float64."""
    drawn = rng.integers(0, rows, (resamples, rows))
    drawn += np.arange(resamples)[:, np.newaxis] * rows
    counts = np.bincount(drawn.ravel(), minlength=resamples * rows)
    return counts.reshape(resamples, rows).astype(np.float64)
