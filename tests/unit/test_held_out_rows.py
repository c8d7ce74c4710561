"""A run's test rows as another model is to see them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trainyard.contract import Split, Task, TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.worker.held_out_rows import HeldOutRows

COLUMNS = ("dept", "x")


@pytest.mark.parametrize("by", ["random", "group"])
def test_a_csv_is_read_as_the_model_was_trained_once_for_all_that_were_trained_alike(
    tmp_path: Path, by: str
) -> None:
    """Also what the rows are divided by, which divides them as it did in the run."""
    rng = np.random.default_rng(0)
    table: dict[str, Any] = {"dept": [f"{each:02}" for each in rng.integers(1, 20, 400)]}
    table |= {"x": rng.normal(size=400), "y": rng.integers(0, 2, 400)}
    pd.DataFrame(table).to_csv(tmp_path / "t.csv", index=False)
    access = DataAccess(roots=(tmp_path,), data_dir=tmp_path)
    split = {} if by == "random" else {"by": "group", "column": "dept"}
    body = {"model": "m", "data": {"source": "file", "uri": "t.csv", "target": "y"}, "split": split}
    request = TrainRequest.model_validate(body)
    data = load(request.data, Split.model_validate(split), task=Task.CLASSIFICATION, access=access)
    rows = HeldOutRows(request, data, access)
    words = [
        ({"name": "dept", "categories": categories}, {"name": "x"})
        for categories in (["01", "2A"], ["01", "02", "3B"])
    ]
    read = rows.x(COLUMNS, words[0])
    assert set(read["dept"].map(type)) == {str}
    np.testing.assert_array_equal(read["x"], data.test.x["x"])
    assert rows.x(COLUMNS, words[1]) is read
    assert set(rows.x(COLUMNS)["dept"].map(type)) == {int}
