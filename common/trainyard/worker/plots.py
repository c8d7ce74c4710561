"""The pictures of a run, as PNGs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainyard.contract import Task
from trainyard.trainer import Part
from trainyard.worker.displays import confusion_matrix, curves, residuals
from trainyard.worker.figures import DPI, escaped, new_figure

Array = npt.NDArray[Any]
History = Mapping[str, Sequence[tuple[int, float]]]
MAX_FEATURES = 20
LONGEST_FEATURE = 30
MISTAKES = 25


def write_plots(  # noqa: PLR0913 - what is drawn
    folder: Path,
    *,
    task: Task,
    predicted: Array,
    part: Part,
    classes: tuple[Any, ...] | None,
    history: History,
    importance: Mapping[str, float] | None,
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
        confusion_matrix(folder, predicted, part, classes or ())
        curves(folder, predicted, part, classes or ())
        if isinstance(part.x, np.ndarray) and part.x.ndim == 4:
            _mistakes(folder, predicted, part, classes or ())
    else:
        residuals(folder, predicted, part)


def _learning_curve(folder: Path, history: History) -> None:
    """The metric that comes first, for train and validation."""
    first = next(name for name, points in history.items() if points).partition("_")[2]
    figure, axes = new_figure("Learning curve", "Round or epoch", first)
    for name, points in history.items():
        part, _, metric = name.partition("_")
        if metric == first and points:
            axes.plot([step for step, _ in points], [value for _, value in points], label=part)
    axes.legend()
    figure.savefig(folder / "learning_curve.png")


def _feature_importance(folder: Path, importance: Mapping[str, float]) -> None:
    top = sorted(importance.items(), key=lambda pair: pair[1])[-MAX_FEATURES:]
    figure, axes = new_figure(
        f"Feature importance (top {len(top)} of {len(importance)})", "Importance", ""
    )
    axes.set_position((0.32, 0.13, 0.64, 0.78))
    axes.barh([escaped(name, LONGEST_FEATURE) for name, _ in top], [value for _, value in top])
    axes.tick_params(axis="y", labelsize=8)
    figure.savefig(folder / "feature_importance.png")


def _mistakes(folder: Path, predicted: Array, part: Part, classes: tuple[Any, ...]) -> None:
    """The wrongly classified images whose true class was given the least probability, the worst first."""
    wrong = np.flatnonzero(predicted.argmax(axis=1) != part.y)
    if not len(wrong):
        return
    worst = wrong[np.argsort(predicted[wrong, part.y[wrong]], kind="stable")][:MISTAKES]
    figure = Figure(figsize=(8, 9), dpi=DPI)
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"The worst {len(worst)} of {len(wrong)} mistakes in {len(part)} images: true, taken for (how sure)"
    )
    for place, row in enumerate(worst):
        axes = figure.add_subplot(5, 5, place + 1)
        image, taken = part.x[row], int(predicted[row].argmax())
        channels = image.shape[-1]
        axes.imshow(
            image[..., :3] if channels >= 3 else image[..., 0], cmap="gray", vmin=0, vmax=255
        )
        axes.set_title(
            f"{escaped(classes[part.y[row]])}, {escaped(classes[taken])} ({predicted[row, taken]:.2f})",
            fontsize=8,
        )
        axes.set_axis_off()
    figure.savefig(folder / "mistakes.png")
