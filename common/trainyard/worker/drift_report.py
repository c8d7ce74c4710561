"""What changed since the champion, among a run's artifacts: as JSON, as a table, and as a picture."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from trainyard.drift.comparison import ColumnDrift, Drift
from trainyard.drift.stability import MUCH_FROM, SOME_FROM, Moved
from trainyard.worker.figures import escaped, new_figure

SHOWN = 10
LONGEST_NAME = 26
LONGEST_CHANGE = 60
LONGEST_BAR = 1.0
"""An index beyond it is drawn as long, so that the others can be seen beside it."""
COLOURS = {Moved.LITTLE: "tab:blue", Moved.SOME: "tab:orange", Moved.MUCH: "tab:red"}


def write_drift(artifacts: Path, drift: Drift) -> None:
    """Write `drift/drift.json`, `drift/drift.csv` and `drift/most_moved.png` below `artifacts`, which exists.

    The picture shows the ten most moved columns, the target among them; it is left out where nothing could be compared.
    """
    folder = artifacts / "drift"
    folder.mkdir(exist_ok=True)
    rows = drift.as_rows()
    whole = {"sentence": drift.sentence(), "max_psi": drift.max_psi, "columns": rows}
    (folder / "drift.json").write_text(json.dumps(whole, indent=2, allow_nan=False))
    if rows:
        with (folder / "drift.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows(rows)
    if drift.most_moved:
        _most_moved(folder, drift.most_moved)


def _most_moved(folder: Path, columns: Sequence[ColumnDrift]) -> None:
    """A bar a column, its index long, and over it what moved most."""
    top = columns[:SHOWN]
    figure, axes = new_figure(
        f"Most moved since the champion ({len(top)} of {len(columns)})",
        f"Population stability index (bars end at {LONGEST_BAR:g})",
        "",
    )
    axes.set_position((0.32, 0.13, 0.64, 0.78))
    places = range(len(top))
    colours = [COLOURS[each.moved] for each in top]
    lengths = [min(each.psi, LONGEST_BAR) for each in top]
    axes.barh(places, lengths, height=0.35, color=colours)
    axes.set_yticks(places, [escaped(each.name, LONGEST_NAME) for each in top], fontsize=8)
    for place, each in zip(places, top, strict=True):
        axes.annotate(
            _said(each), (0, place - 0.25), (2, 0), textcoords="offset points", fontsize=7
        )
    for threshold in (SOME_FROM, MUCH_FROM):
        axes.axvline(threshold, linestyle="--", linewidth=0.8, color="lightgrey", zorder=0)
    axes.set(xlim=(0, max(1.05 * lengths[0], 1.6 * MUCH_FROM)), ylim=(SHOWN - 0.4, -0.7))
    figure.savefig(folder / "most_moved.png")


def _said(column: ColumnDrift) -> str:
    """The numbers before the words, which are cut where they are long."""
    most = column.most
    said = f"{column.psi:.2f}: {most.before:.1%} → {most.now:.1%} of rows: {most.label}"
    return escaped(said, LONGEST_CHANGE)
