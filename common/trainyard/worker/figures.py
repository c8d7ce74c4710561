"""Figures of matplotlib that belong to nobody else, and labels that are drawn as they are."""

import re
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 80
LONGEST_LABEL = 20
NOT_IN_XML = re.compile(r"[^\t\n\r -\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
"""By https://www.w3.org/TR/xml/#charsets: an SVG with one of these is shown nowhere."""


def new_figure(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, each with its label, and a title."""
    figure = Figure(figsize=(6, 4.5), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.14, 0.13, 0.82, 0.78))
    axes.set(xlabel=across, ylabel=up)
    # Left to itself matplotlib measures every label first, to move a title that meets one; that costs a quarter of all.
    axes.set_title(title, y=1.0)
    return figure, axes


def draw_for_nobody() -> None:
    """Draw a picture, so that the fonts, and all else that matplotlib makes at first use, are there."""
    figure, axes = new_figure("Title", "across", "up")
    axes.plot([0, 1], label="curve")
    axes.legend()
    for kind in ("png", "svg"):
        figure.savefig(BytesIO(), format=kind)


def escaped(label: Any, longest: int = LONGEST_LABEL) -> str:
    """The label as text that matplotlib does not take for a formula, nor XML for an error, cut where it is long."""
    return NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", str(label)[:longest]).replace("$", r"\$")
