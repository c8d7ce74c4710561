"""Figures of matplotlib that belong to nobody else, and labels that are drawn as they are."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 80
LONGEST_LABEL = 20


def new_figure(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, each with its label, and a title."""
    figure = Figure(figsize=(6, 4.5), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.14, 0.13, 0.82, 0.78))
    axes.set(title=title, xlabel=across, ylabel=up)
    return figure, axes


def escaped(label: Any, longest: int = LONGEST_LABEL) -> str:
    """The label as text that matplotlib does not take for a formula, cut where it is long."""
    return str(label)[:longest].replace("$", r"\$")
