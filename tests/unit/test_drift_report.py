"""What a person finds of drift among a run's artifacts."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from trainyard.datasets.sketches import table_sketches, target_sketch
from trainyard.drift.comparison import Drift, compare

pytest.importorskip("sklearn")

from trainyard.worker.drift_report import drift_report, write_report

RED = "stroke: #d62728"


def drift_of(columns: int) -> Drift:
    """The first columns move most; their names are as awkward as names are."""
    rows = np.linspace(0, 1, 500)
    names = [f"=1+$a_{number}$\n<&\x00, " + "long" * number for number in range(columns)]
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
    picture = ET.parse(tmp_path / "drift/most_moved.svg")
    red = [each for each in picture.iter() if RED in each.get("style", "")]
    drawn = drift_of(columns).most_moved[:10]
    assert len(red) == sum(each.psi > 0.25 for each in drawn)
    text = "".join(picture.getroot().itertext())
    assert all(f"{each.psi:.2f}: " in text for each in drawn)
    assert ("=1+$a_0$" in text) is bool(columns)


def test_where_nothing_can_be_compared_there_is_no_picture(tmp_path: Path) -> None:
    write_report(tmp_path, drift_report(drift_of(1)))
    write_report(tmp_path, drift_report(Drift(())))
    assert [file.name for file in (tmp_path / "drift").iterdir()] == ["drift.json"]
