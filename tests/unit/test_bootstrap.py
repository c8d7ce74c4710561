"""The paired bootstrap against scikit-learn's metrics and a plain bootstrap by hand."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from trainyard.contract import Task
from trainyard.trainer import Part
from trainyard.worker import bootstrap
from trainyard.worker.bootstrap import interval_of_difference
from trainyard.worker.evaluation import METRICS, evaluate
from trainyard.worker.resampled_metrics import statistic

Array = npt.NDArray[Any]


def drawn(seed: int, task: Task, classes: int) -> tuple[Array, Array, Array]:
    """Predictions with ties, targets, and how often each row is in a resample."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(3, 40))
    counts = rng.integers(0, 3, rows).astype(np.float64)
    counts[rng.integers(rows)] += 1
    if task is Task.REGRESSION:
        return rng.normal(size=rows).round(1), rng.normal(size=rows).round(1), counts
    scores = rng.integers(0, 4, (rows, classes)) + rng.integers(1, 3, (rows, 1)) * 0.25
    return scores / scores.sum(axis=1, keepdims=True), rng.integers(0, classes, rows), counts


@pytest.mark.parametrize("task", list(Task))
@given(seed=st.integers(0, 2**32 - 1), classes=st.sampled_from([2, 3, 5]), weighted=st.booleans())
@settings(max_examples=examples(40))
def test_each_metric_of_a_resample_is_scikit_learn_s(
    task: Task, seed: int, classes: int, weighted: bool
) -> None:
    predicted, y, counts = drawn(seed, task, classes)
    weight = np.random.default_rng(seed).random(len(y)) + 0.1 if weighted else None
    rows = np.repeat(np.arange(len(y)), counts.astype(int))
    part = Part(None, y[rows], None if weight is None else weight[rows])
    labels = tuple(range(classes)) if task is Task.CLASSIFICATION else None
    expected = evaluate(task, predicted[rows], part, labels, "test")
    weights = (counts if weight is None else counts * weight)[np.newaxis]
    for name in METRICS[task]:
        if name == "average_precision" and classes != 2:
            continue
        found = statistic(name, predicted, y, task)(weights)[0]
        known = expected.get(f"test_{name}")
        if known is None:
            assert np.isnan(found) or name == "r2", name
        else:
            assert found == pytest.approx(known, abs=1e-9), name


@pytest.fixture(scope="module")
def two_models() -> tuple[Array, Array, Part]:
    rng = np.random.default_rng(7)
    y = rng.integers(0, 2, 800)
    signal = y + rng.normal(size=800)
    good, fair = (1 / (1 + np.exp(-(signal + rng.normal(size=800) * noise))) for noise in (0.5, 2))
    return np.column_stack([1 - good, good]), np.column_stack([1 - fair, fair]), Part(None, y)


def test_the_interval_is_that_of_resampling_by_hand(
    two_models: tuple[Array, Array, Part],
) -> None:
    mine, theirs, part = two_models
    found = interval_of_difference(
        "roc_auc", mine, theirs, part, (0, 1), difference=0.0, confidence=0.9, seed=3
    )
    rng = np.random.default_rng(99)
    by_hand = []
    for _ in range(300):
        rows = rng.integers(0, 800, 800)
        some = Part(None, part.y[rows])
        first, second = (
            evaluate(Task.CLASSIFICATION, model[rows], some, (0, 1), "test")["test_roc_auc"]
            for model in (mine, theirs)
        )
        by_hand.append(first - second)
    low, high = np.quantile(by_hand, [0.05, 0.95])
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


def test_the_same_seed_gives_the_same_interval_and_a_model_against_itself_gives_nothing(
    two_models: tuple[Array, Array, Part],
) -> None:
    mine, theirs, part = two_models
    first, again = (
        interval_of_difference(
            "log_loss", mine, theirs, part, (0, 1), difference=0.0, confidence=0.95, seed=5
        )
        for _ in range(2)
    )
    assert first == again
    itself = interval_of_difference(
        "log_loss", mine, mine, part, (0, 1), difference=0.0, confidence=0.95, seed=5
    )
    assert itself is not None
    assert (itself.low, itself.high) == (0.0, 0.0)


def test_of_very_many_rows_some_are_resampled_and_the_interval_is_as_narrow_as_of_all(
    two_models: tuple[Array, Array, Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs, part = two_models
    score = {
        "difference": float(
            (mine.argmax(1) == part.y).mean() - (theirs.argmax(1) == part.y).mean()
        ),
        "confidence": 0.95,
        "seed": 1,
    }
    whole = interval_of_difference("accuracy", mine, theirs, part, (0, 1), **score)
    monkeypatch.setattr(bootstrap, "MOST_ROWS", 400)
    some = interval_of_difference("accuracy", mine, theirs, part, (0, 1), **score)
    assert whole is not None
    assert some is not None
    assert some.low < score["difference"] < some.high
    assert some.high - some.low == pytest.approx(whole.high - whole.low, rel=0.25)
