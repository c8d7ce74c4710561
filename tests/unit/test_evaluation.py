"""Metrics and plots, against scikit-learn itself and on parts that lack something."""

import time
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics
from trainyard.contract import Task
from trainyard.trainer import Part
from trainyard.worker.evaluation import evaluate
from trainyard.worker.plots import write_plots


def probabilities(rng, rows, classes):
    raw = rng.random((rows, classes)) + 0.05
    return raw / raw.sum(axis=1, keepdims=True)


def test_binary_metrics_are_those_of_scikit_learn_with_weights():
    rng = np.random.default_rng(0)
    y, weight = rng.integers(0, 2, 200), rng.random(200)
    predicted = probabilities(rng, 200, 2)
    found = evaluate(Task.CLASSIFICATION, predicted, Part(None, y, weight), ("no", "yes"), "test")
    chosen = predicted.argmax(axis=1)
    assert found == pytest.approx(
        {
            "test_accuracy": metrics.accuracy_score(y, chosen, sample_weight=weight),
            "test_balanced_accuracy": metrics.balanced_accuracy_score(
                y, chosen, sample_weight=weight
            ),
            "test_f1_macro": metrics.f1_score(y, chosen, average="macro", sample_weight=weight),
            "test_precision_macro": metrics.precision_score(
                y, chosen, average="macro", sample_weight=weight
            ),
            "test_recall_macro": metrics.recall_score(
                y, chosen, average="macro", sample_weight=weight
            ),
            "test_log_loss": metrics.log_loss(y, predicted, sample_weight=weight),
            "test_roc_auc": metrics.roc_auc_score(y, predicted[:, 1], sample_weight=weight),
            "test_average_precision": metrics.average_precision_score(
                y, predicted[:, 1], sample_weight=weight
            ),
        }
    )


def test_multiclass_roc_auc_is_one_against_the_rest_macro():
    rng = np.random.default_rng(1)
    y, predicted = rng.integers(0, 3, 150), probabilities(rng, 150, 3)
    found = evaluate(Task.CLASSIFICATION, predicted, Part(None, y), (3, 5, 9), "validation")
    assert found["validation_roc_auc"] == pytest.approx(
        metrics.roc_auc_score(y, predicted, multi_class="ovr", average="macro")
    )
    assert "validation_average_precision" not in found


def test_a_class_missing_in_the_part_is_no_error():
    rng = np.random.default_rng(2)
    y, predicted = rng.integers(0, 2, 50), probabilities(rng, 50, 3)
    found = evaluate(Task.CLASSIFICATION, predicted, Part(None, y), ("a", "b", "c"), "test")
    assert np.isfinite(found["test_roc_auc"])
    assert found["test_log_loss"] == pytest.approx(metrics.log_loss(y, predicted, labels=[0, 1, 2]))


def test_one_class_alone_has_no_roc_auc():
    predicted = probabilities(np.random.default_rng(3), 10, 2)
    found = evaluate(
        Task.CLASSIFICATION, predicted, Part(None, np.zeros(10, dtype=np.int64)), (0, 1), "test"
    )
    assert "test_roc_auc" not in found
    assert "test_log_loss" in found


def test_regression_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(4)
    y, weight = rng.random(80), rng.random(80)
    predicted = y + rng.normal(0, 0.1, 80)
    assert evaluate(
        Task.REGRESSION, predicted, Part(None, y, weight), None, "test"
    ) == pytest.approx(
        {
            "test_root_mean_squared_error": metrics.root_mean_squared_error(
                y, predicted, sample_weight=weight
            ),
            "test_mean_absolute_error": metrics.mean_absolute_error(
                y, predicted, sample_weight=weight
            ),
            "test_r2": metrics.r2_score(y, predicted, sample_weight=weight),
        }
    )


HISTORY = {
    name: [(step, 1 / step) for step in range(1, 301)]
    for name in ("train_log_loss", "validation_log_loss")
}
IMPORTANCE = {f"column $_{index}": float(index) for index in range(40)}


@pytest.mark.parametrize("classes", [("no", "yes"), tuple("abcdefghijkl")])
def test_a_classifier_gets_its_plots_quickly(tmp_path: Path, classes):
    rng = np.random.default_rng(5)
    part = Part(None, rng.integers(0, len(classes) - 1, 20_000) + (1 if len(classes) > 2 else 0))
    part = Part(None, rng.integers(0, len(classes), 20_000)) if len(classes) == 2 else part
    predicted = probabilities(rng, 20_000, len(classes))
    arguments = {
        "task": Task.CLASSIFICATION,
        "predicted": predicted,
        "part": part,
        "classes": classes,
        "history": HISTORY,
        "importance": IMPORTANCE,
    }
    write_plots(tmp_path, **arguments)
    started = time.process_time()
    write_plots(tmp_path, **arguments)
    assert time.process_time() - started < 2.0
    assert {path.name for path in tmp_path.iterdir()} == {
        "confusion_matrix.png",
        "roc_curve.png",
        "precision_recall_curve.png",
        "learning_curve.png",
        "feature_importance.png",
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def test_a_regressor_without_history_gets_the_plots_that_have_something_to_show(tmp_path: Path):
    y = np.linspace(0, 1, 5000)
    write_plots(
        tmp_path,
        task=Task.REGRESSION,
        predicted=y + 0.1,
        part=Part(None, y),
        classes=None,
        history={},
        importance=None,
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        "residuals.png",
        "predicted_vs_actual.png",
    }


@pytest.mark.parametrize("channels", [1, 3])
def test_the_worst_mistakes_on_images_are_drawn(tmp_path, channels):
    rng = np.random.default_rng(5)
    y, predicted = rng.integers(0, 3, 60), probabilities(rng, 60, 3)
    images = rng.integers(0, 256, (60, 9, 7, channels), dtype=np.uint8)
    arguments = {
        "task": Task.CLASSIFICATION,
        "classes": ("a", "$b", "c"),
        "history": {},
        "importance": None,
    }
    write_plots(tmp_path, predicted=predicted, part=Part(images, y), **arguments)
    assert (tmp_path / "mistakes.png").read_bytes().startswith(b"\x89PNG")


def test_without_mistakes_or_images_no_mistakes_are_drawn(tmp_path):
    y = np.array([0, 1, 2, 0])
    arguments = {
        "task": Task.CLASSIFICATION,
        "classes": (0, 1, 2),
        "history": {},
        "importance": None,
    }
    write_plots(
        tmp_path,
        predicted=np.eye(3)[y],
        part=Part(np.zeros((4, 8, 8, 1), dtype=np.uint8), y),
        **arguments,
    )
    write_plots(tmp_path, predicted=np.eye(3)[(y + 1) % 3], part=Part(None, y), **arguments)
    assert not (tmp_path / "mistakes.png").exists()
