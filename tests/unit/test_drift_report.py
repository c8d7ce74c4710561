"""What a person finds of drift among a run's artifacts."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from trainyard.datasets.sketches import table_sketches, target_sketch
from trainyard.drift.comparison import Drift, compare

pytest.importorskip("sklearn")

from trainyard.worker.drift_report import drift_report, write_report


def drift_of(columns: int) -> Drift:
    """The first columns move most; their names are as awkward as names are."""
    rows = np.linspace(0, 1, 500)
    names = [f"=1+$a_{number}$\n, " + "long" * number for number in range(columns)]
    before = pd.DataFrame(dict.fromkeys(names, rows))
    now = pd.DataFrame({name: rows + 1 / (place + 1) for place, name in enumerate(names)})
    target = {"target": target_sketch(np.array([0, 1]), ("no", "yes"))}
    return compare(
        {"columns": table_sketches([now]), **target},
        {"columns": table_sketches([before]), **target},
    )


def test_the_table_and_the_json_hold_every_column(tmp_path: Path) -> None:
    drift = drift_of(30)
    write_report(tmp_path, drift_report(drift))
    whole = json.loads((tmp_path / "drift/drift.json").read_text())
    assert whole["columns"] == drift.as_rows()
    assert (whole["max_psi"], whole["sentence"]) == (drift.max_psi, drift.sentence())
    with (tmp_path / "drift/drift.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["column"] for row in table] == [row["column"] for row in whole["columns"]]
    assert [float(row["psi"]) for row in table] == [row["psi"] for row in whole["columns"]]


@pytest.mark.parametrize("columns", [0, 1, 30])
def test_the_picture_has_a_bar_a_column(tmp_path: Path, columns: int) -> None:
    write_report(tmp_path, drift_report(drift_of(columns)))
    picture = imread(tmp_path / "drift/most_moved.png")
    assert picture.shape[:2] == (360, 480)
    red = (picture[..., 0] > 0.7) & (picture[..., 1] < 0.3) & (picture[..., 2] < 0.3)
    starts = np.flatnonzero(np.diff(red.any(axis=1).astype(int)) == 1)
    drawn = drift_of(columns).most_moved[:10]
    assert len(starts) == sum(each.psi > 0.25 for each in drawn)


def test_where_nothing_can_be_compared_there_is_no_picture(tmp_path: Path) -> None:
    write_report(tmp_path, drift_report(drift_of(1)))
    write_report(tmp_path, drift_report(Drift(())))
    assert [file.name for file in (tmp_path / "drift").iterdir()] == ["drift.json"]
