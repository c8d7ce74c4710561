"""The pictures of a run, drawn with matplotlib's objects: no pyplot, no display, no global state."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn import metrics

from trainyard.contract import Task
from trainyard.trainer import Part

Array = npt.NDArray[Any]
History = Mapping[str, Sequence[tuple[int, float]]]
DPI = 80
MAX_POINTS = 2000
MAX_CLASSES = 10
"""Curves and cell numbers are drawn for as many classes; more cannot be told apart."""
MAX_FEATURES = 20
MISTAKES = 25


def write_plots(  # noqa: PLR0913 - what is drawn
    folder: Path, *, task: Task, predicted: Array, part: Part, classes: tuple[Any, ...] | None,
    history: History, importance: Mapping[str, float] | None,
) -> None:
    """Write PNGs into `folder`, which exists; what has nothing to show is left out.

    `predicted` is as in `evaluate`; `history` maps metric names to (step, value).
    """
    if any(history.values()):
        _learning_curve(folder, history)
    if importance:
        _feature_importance(folder, importance)
    if not len(part):
        return
    if task is Task.CLASSIFICATION:
        _confusion_matrix(folder, predicted, part, classes or ())
        _curves(folder, predicted, part, classes or ())
        if isinstance(part.x, np.ndarray) and part.x.ndim == 4:  # noqa: PLR2004 - images
            _mistakes(folder, predicted, part, classes or ())
    else:
        _residuals(folder, predicted, part)


def _figure(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4.5), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.14, 0.13, 0.82, 0.78))
    axes.set(title=title, xlabel=across, ylabel=up)
    return figure, axes


def _learning_curve(folder: Path, history: History) -> None:
    """The metric that comes first, for train and validation."""
    first = next(name for name, points in history.items() if points).partition("_")[2]
    figure, axes = _figure("Learning curve", "Round or epoch", first)
    for name, points in history.items():
        part, _, metric = name.partition("_")
        if metric == first and points:
            thin = points[:: max(1, len(points) // MAX_POINTS)]
            axes.plot([step for step, _ in thin], [value for _, value in thin], label=part)
    axes.legend()
    figure.savefig(folder / "learning_curve.png")


def _feature_importance(folder: Path, importance: Mapping[str, float]) -> None:
    top = sorted(importance.items(), key=lambda pair: pair[1])[-MAX_FEATURES:]
    figure, axes = _figure(f"Feature importance (top {len(top)} of {len(importance)})", "Importance", "")
    axes.set_position((0.32, 0.13, 0.64, 0.78))
    axes.barh([name[:30].replace("$", r"\$") for name, _ in top], [value for _, value in top])
    axes.tick_params(axis="y", labelsize=8)
    figure.savefig(folder / "feature_importance.png")


def _confusion_matrix(folder: Path, predicted: Array, part: Part, classes: tuple[Any, ...]) -> None:
    """Rows counted, not weighted."""
    counts = metrics.confusion_matrix(part.y, predicted.argmax(axis=1), labels=np.arange(len(classes)))
    figure, axes = _figure("Confusion matrix", "Predicted", "True")
    axes.imshow(counts, cmap="Blues")
    if len(classes) <= MAX_CLASSES:
        names = [_label(label) for label in classes]
        axes.set_xticks(range(len(names)), names, rotation=0 if len(names) <= 5 else 45, fontsize=8)  # noqa: PLR2004 - five fit side by side
        axes.set_yticks(range(len(names)), names, fontsize=8)
        for (row, column), count in np.ndenumerate(counts):
            dark = count > counts.max() / 2
            axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    figure.savefig(folder / "confusion_matrix.png")


def _curves(folder: Path, predicted: Array, part: Part, classes: tuple[Any, ...]) -> None:
    """ROC and precision-recall: of the second of two classes, or of each against the rest."""
    indices = [1] if len(classes) == 2 else range(min(len(classes), MAX_CLASSES))  # noqa: PLR2004 - the binary case
    shown = [index for index in indices if 0 < np.count_nonzero(part.y == index) < len(part)]
    if not shown:
        return
    roc, roc_axes = _figure("ROC curve", "False positive rate", "True positive rate")
    recall, recall_axes = _figure("Precision-recall curve", "Recall", "Precision")
    for index in shown:
        positive, scores = part.y == index, predicted[:, index]
        false_rate, true_rate, _ = metrics.roc_curve(positive, scores, sample_weight=part.weight)
        roc_axes.plot(*_thin(false_rate, true_rate), label=f"{_label(classes[index])} (AUC {metrics.auc(false_rate, true_rate):.3f})")
        precision, recalled, _ = metrics.precision_recall_curve(positive, scores, sample_weight=part.weight)
        recall_axes.plot(*_thin(recalled, precision), label=_label(classes[index]))
    roc_axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="chance")
    roc_axes.legend(loc="lower right", fontsize=8)
    recall_axes.legend(loc="lower left", fontsize=8)
    roc.savefig(folder / "roc_curve.png")
    recall.savefig(folder / "precision_recall_curve.png")


def _mistakes(folder: Path, predicted: Array, part: Part, classes: tuple[Any, ...]) -> None:
    """The wrongly classified images whose true class was given the least probability, the worst first."""
    wrong = np.flatnonzero(predicted.argmax(axis=1) != part.y)
    if not len(wrong):
        return
    worst = wrong[np.argsort(predicted[wrong, part.y[wrong]], kind="stable")][:MISTAKES]
    figure = Figure(figsize=(8, 9), dpi=DPI)
    FigureCanvasAgg(figure)
    figure.suptitle(f"The worst {len(worst)} of {len(wrong)} mistakes in {len(part)} images: true, taken for (how sure)")
    for place, row in enumerate(worst):
        axes = figure.add_subplot(5, 5, place + 1)
        image, taken = part.x[row], int(predicted[row].argmax())
        channels = image.shape[-1]
        axes.imshow(image[..., :3] if channels >= 3 else image[..., 0], cmap="gray", vmin=0, vmax=255)  # noqa: PLR2004 - red, green, blue
        axes.set_title(f"{_label(classes[part.y[row]])}, {_label(classes[taken])} ({predicted[row, taken]:.2f})", fontsize=8)
        axes.set_axis_off()
    figure.savefig(folder / "mistakes.png")


def _residuals(folder: Path, predicted: Array, part: Part) -> None:
    x, y = _thin(np.asarray(predicted), part.y)
    figure, axes = _figure("Residuals", "Predicted", "True - predicted")
    axes.scatter(x, y - x, s=6, alpha=0.5)
    axes.axhline(0, color="grey", linestyle="--")
    figure.savefig(folder / "residuals.png")
    figure, axes = _figure("Predicted against actual", "Actual", "Predicted")
    axes.scatter(y, x, s=6, alpha=0.5)
    ends = [min(y.min(), x.min()), max(y.max(), x.max())]
    axes.plot(ends, ends, color="grey", linestyle="--")
    figure.savefig(folder / "predicted_vs_actual.png")


def _label(label: Any) -> str:
    return str(label)[:20].replace("$", r"\$")


def _thin(across: Array, up: Array) -> tuple[Array, Array]:
    """At most `MAX_POINTS` of the points, evenly, the last among them."""
    if len(across) <= MAX_POINTS:
        return across, up
    keep = np.linspace(0, len(across) - 1, MAX_POINTS).astype(int)
    return across[keep], up[keep]
