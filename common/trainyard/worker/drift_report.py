"""What changed since the champion, among a run's artifacts: as JSON, as a table, and as a picture."""

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import rc_context

from trainyard.drift.comparison import ColumnDrift, Drift
from trainyard.drift.stability import MUCH_FROM, SOME_FROM, Moved
from trainyard.worker.figures import escaped, new_figure

SHOWN = 10
LONGEST_NAME = 26
LONGEST_CHANGE = 60
LONGEST_BAR = 1.0
"""An index beyond it is drawn as long, so that the others can be seen beside it."""
BAR_POINTS = 10
COLOURS = {Moved.LITTLE: "tab:blue", Moved.SOME: "tab:orange", Moved.MUCH: "tab:red"}


def drift_report(drift: Drift) -> dict[str, bytes]:
    """The files of the folder `drift`: `drift.json`, `drift.csv` and `most_moved.svg`, each by its name.

    The picture shows the ten most moved columns, the target among them; it is left out where nothing could be compared.
    """
    rows = drift.as_rows()
    whole = {"sentence": drift.sentence(), "max_psi": drift.max_psi, "columns": rows}
    files = {"drift.json": json.dumps(whole, indent=2, allow_nan=False).encode()}
    if rows:
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, rows[0])
        table.writeheader()
        table.writerows(rows)
        files["drift.csv"] = text.getvalue().encode()
    if drift.most_moved:
        files["most_moved.svg"] = _most_moved(drift.most_moved)
    return files


def write_report(artifacts: Path, files: Mapping[str, bytes]) -> None:
    """Keep a `drift_report` below `artifacts`, in the place of an earlier one."""
    folder = artifacts / "drift"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _most_moved(columns: Sequence[ColumnDrift]) -> bytes:
    """A bar a column, its index long, and over it what moved most."""
    top = columns[:SHOWN]
    figure, axes = new_figure(
        f"Most moved since the champion ({len(top)} of {len(columns)})",
        f"Population stability index (bars end at {LONGEST_BAR:g})",
        "",
    )
    axes.set_position((0.32, 0.13, 0.64, 0.78))
    lengths = [min(each.psi, LONGEST_BAR) for each in top]
    axes.set(xlim=(0, max(1.05 * lengths[0], 1.6 * MUCH_FROM)), ylim=(SHOWN - 0.4, -0.7))
    # Lines and plain text: a third of what bars, and a tick with its marks for each, take to be drawn. As text, and not
    # as glyphs, a third of that again.
    axes.vlines(
        (SOME_FROM, MUCH_FROM),
        SHOWN,
        -1,
        linestyles="--",
        linewidth=0.8,
        color="lightgrey",
        zorder=0,
    )
    colours = [COLOURS[each.moved] for each in top]
    axes.hlines(range(len(top)), 0, lengths, colors=colours, linewidth=BAR_POINTS)
    axes.set_yticks([])
    for place, each in enumerate(top):
        name, unit = escaped(each.name, LONGEST_NAME), "offset points"
        axes.annotate(
            name, (0, place), (-5, 0), ha="right", va="center", fontsize=8, textcoords=unit
        )
        axes.annotate(_said(each), (0, place - 0.25), (2, 0), fontsize=7, textcoords=unit)
    picture = io.BytesIO()
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(picture, format="svg")
    return picture.getvalue()


def _said(column: ColumnDrift) -> str:
    """The numbers before the words, which are cut where they are long."""
    most = column.most
    said = f"{column.psi:.2f}: {most.before:.1%} → {most.now:.1%} of rows: {most.label}"
    return escaped(said, LONGEST_CHANGE)
