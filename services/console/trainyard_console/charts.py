"""Curves of what a run measures, one chart for the training, validation and test of one metric."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from trainyard.contract import Run

from trainyard_console.cells import row_of_cells
from trainyard_console.frame import words

PARTS = ("train_", "validation_", "test_")
MOST_CHARTS = 12
DRAW_SECONDS = 0.5
"""A chart is drawn no more often than this while it grows."""
GREY = "#808080"
"""Is read on white and on black alike."""
Points = Sequence[tuple[int, float]]


def base_of(metric: str) -> str:
    """The metric without the part of the rows that it is of."""
    for part in PARTS:
        if metric.startswith(part):
            return metric.removeprefix(part)
    return metric


class Charts:
    """The charts of one run, which grow as it trains."""

    def __init__(self) -> None:
        self._heading = words("h2", "Curves")
        self._heading.set_visibility(False)
        self._box = row_of_cells()
        self._points: dict[str, list[tuple[int, float]]] = {}
        self._charts: dict[str, ui.echart] = {}
        self._drawn_at = 0.0

    def show(self, curves: Mapping[str, Points]) -> None:
        """These curves, in the place of what was there."""
        self._points = {name: list(points) for name, points in curves.items()}
        self._draw()

    def grow(self, run: Run) -> None:
        """The newest point of each curve that the run has gone on with."""
        if run.progress is None or run.status.ended:
            return
        step = run.progress.done
        for name, value in run.metrics.items():
            points = self._points.setdefault(name, [])
            if not points or points[-1][0] < step:
                points.append((step, value))
        if time.monotonic() - self._drawn_at > DRAW_SECONDS:
            self._draw()

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        found: dict[str, dict[str, Points]] = {}
        for name, points in self._points.items():
            if len(points) > 1:
                found.setdefault(base_of(name), {})[name] = points
        self._heading.set_visibility(bool(found))
        for base in sorted(found)[:MOST_CHARTS]:
            if base in self._charts:
                self._charts[base].options.update(_options(base, found[base]))
                self._charts[base].props["aria-label"] = _said(base, found[base])
                self._charts[base].update()
            else:
                with self._box, ui.element("div").classes("col-12 col-md-6"):
                    self._charts[base] = _chart(base, found[base])


def _chart(base: str, series: Mapping[str, Points]) -> ui.echart:
    chart = ui.echart(_options(base, series)).props("role=img")
    chart.props["aria-label"] = _said(base, series)
    return chart


def _said(base: str, series: Mapping[str, Points]) -> str:
    """The chart in words."""
    return f"curves of {base}, {max(map(len, series.values()))} points"


def _options(base: str, series: Mapping[str, Points]) -> dict[str, Any]:
    text = {"color": GREY}
    axis = {"axisLabel": text, "axisLine": {"lineStyle": text}, "splitLine": {"show": False}}
    return {
        "animation": False,
        "title": {"text": base, "left": 0, "textStyle": {"fontSize": 13, **text}},
        "legend": {"right": 0, "top": 0, "textStyle": text},
        "tooltip": {"trigger": "axis"},
        "grid": {"left": 56, "right": 16, "top": 36, "bottom": 28},
        "xAxis": {"type": "value", "min": "dataMin", "max": "dataMax", **axis},
        "yAxis": {"type": "value", "scale": True, **axis},
        "series": [
            {"name": name, "type": "line", "showSymbol": False, "data": [list(p) for p in points]}
            for name, points in sorted(series.items())
        ],
    }
