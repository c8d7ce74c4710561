"""Pictures of the test rows by scikit-learn's displays.

The displays import pyplot, though they use nothing of it here; it is imported with this module, before a
run is forked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot  # noqa: F401, ICN001 - for the displays
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    PredictionErrorDisplay,
    RocCurveDisplay,
)

from trainyard.trainer import Part
from trainyard.worker.figures import escaped, new_figure

Array = npt.NDArray[Any]
MAX_POINTS = 2000
MAX_CLASSES = 10
"""Curves and cell numbers are drawn for as many classes; more cannot be told apart."""


def confusion_matrix(folder: Path, predicted: Array, part: Part, classes: tuple[Any, ...]) -> None:
    """Rows counted, not weighted. Of many classes the numbers and names could not be read, so they are left out."""
    few = len(classes) <= MAX_CLASSES
    figure, axes = new_figure("Confusion matrix", "Predicted", "True")
    ConfusionMatrixDisplay.from_predictions(
        part.y,
        predicted.argmax(axis=1),
        labels=np.arange(len(classes)),
        display_labels=[escaped(label) for label in classes],
        include_values=few,
        values_format="d",
        xticks_rotation=0 if len(classes) <= 5 else 45,
        cmap="Blues",
        ax=axes,
        colorbar=not few,
    )
    axes.set(xlabel="Predicted", ylabel="True")
    axes.tick_params(labelsize=8)
    if not few:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(MAX_CLASSES, integer=True))
            axis.set_major_formatter("{x:.0f}")
    figure.savefig(folder / "confusion_matrix.png")


def curves(folder: Path, predicted: Array, part: Part, classes: tuple[Any, ...]) -> None:
    """ROC and precision-recall: of the second of two classes, or of each against the rest."""
    indices = [1] if len(classes) == 2 else range(min(len(classes), MAX_CLASSES))
    shown = [index for index in indices if 0 < np.count_nonzero(part.y == index) < len(part)]
    if not shown:
        return
    figure, axes = new_figure("ROC curve", "", "")
    _draw_curves(RocCurveDisplay, axes, shown, predicted, part, classes)
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="chance")
    axes.set(xlabel="False positive rate", ylabel="True positive rate")
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(folder / "roc_curve.png")
    figure, axes = new_figure("Precision-recall curve", "", "")
    _draw_curves(PrecisionRecallDisplay, axes, shown, predicted, part, classes)
    axes.set(xlabel="Recall", ylabel="Precision")
    axes.legend(loc="lower left", fontsize=8)
    figure.savefig(folder / "precision_recall_curve.png")


def _draw_curves(  # noqa: PLR0913, PLR0917 - what is drawn
    display: Any,
    axes: Axes,
    shown: Sequence[int],
    predicted: Array,
    part: Part,
    classes: tuple[Any, ...],
) -> None:
    """The display's curve of each class that is shown, named with its area or average precision."""
    for index in shown:
        display.from_predictions(
            (part.y == index).astype(int),
            predicted[:, index],
            sample_weight=part.weight,
            drop_intermediate=True,
            name=escaped(classes[index]),
            ax=axes,
        )


def residuals(folder: Path, predicted: Array, part: Part) -> None:
    """The errors, and the predictions against the true values, of at most `MAX_POINTS` rows."""
    for kind, file, title, up in (
        ("residual_vs_predicted", "residuals", "Residuals", "True - predicted"),
        ("actual_vs_predicted", "predicted_vs_actual", "Actual against predicted", "Actual"),
    ):
        figure, axes = new_figure(title, "Predicted", up)
        PredictionErrorDisplay.from_predictions(
            part.y,
            predicted,
            kind=kind,
            subsample=MAX_POINTS if len(part) > MAX_POINTS else None,
            random_state=0,
            ax=axes,
            scatter_kwargs={"s": 6, "alpha": 0.5},
        )
        axes.set(xlabel="Predicted", ylabel=up)
        figure.savefig(folder / f"{file}.png")
