"""What a table of thousands of columns leaves behind stays small and readable."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trainyard import raw_columns
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.profile import MOST_SKETCHED, profile
from trainyard.datasets.sketches import number_sketch
from trainyard.drift.comparison import compare
from trainyard.errors import InvalidData
from trainyard.networks.scoring import Scoring
from trainyard.networks.tables import MOST_CATEGORIES, TableEncoding, warnings_about
from trainyard.trainer import Data, Part
from trainyard.worker.logged_params import LONGEST_PARAM, bounded_param


def sketches(count: int, first: int = 0) -> dict:
    one = number_sketch([np.arange(5.0)])
    return {f"gene_{at}": one for at in range(first, first + count)}


def described(count: int, first: int = 0) -> dict:
    y = np.array([0, 1, 0, 1])
    names = sketches(count, first)
    return profile(
        y, (0, 1), columns=dict.fromkeys(names, "float64"), sizes={"train": 4}, sketches=names
    )


def test_the_sketches_of_the_first_columns_are_kept_and_the_others_counted() -> None:
    found = described(MOST_SKETCHED + 7)["sketches"]
    assert len(found["columns"]) == MOST_SKETCHED
    assert found["left_out"] == 7
    assert "left_out" not in described(MOST_SKETCHED)["sketches"]


def test_a_column_whose_sketch_was_left_out_is_neither_gone_nor_new() -> None:
    mine = described(MOST_SKETCHED + 10, first=0)["sketches"]
    holders = described(MOST_SKETCHED + 10, first=5)["sketches"]
    drift = compare(mine, holders)
    assert drift.gone == drift.new == ()
    assert compare(described(5)["sketches"], described(5, first=1)["sketches"]).gone == ("gene_5",)


def test_constraints_of_5000_columns_are_a_param_that_mlflow_takes_whole() -> None:
    text = bounded_param({f"gene_{at}": 1 for at in range(5_000)})
    assert len(text) <= LONGEST_PARAM
    assert text.startswith("{'gene_0': 1, 'gene_1': 1, ")
    kept = text.count("gene_")
    assert text.endswith(f": 1, … and {5_000 - kept:,} more}}")


def test_a_short_param_is_as_it_was() -> None:
    assert bounded_param({"a": 1}) == "{'a': 1}"
    assert bounded_param([1, 2]) == "[1, 2]"
    assert bounded_param(None) == "None"
    assert len(bounded_param("x" * 10_000)) == LONGEST_PARAM
    assert bounded_param(list(range(5_000))).endswith(" more]")


def test_a_profile_of_60_000_columns_is_a_few_megabytes() -> None:
    assert len(json.dumps(described(60_000))) < 6e6


def table_of(**columns) -> Data:
    frame = pd.DataFrame(columns)
    y = np.zeros(len(frame), np.int64)
    part = Part(frame, y)
    return Data("table", "a", "a", "0", Task.CLASSIFICATION, part, None, part, "y", (0, 1))


def test_identifiers_take_no_column_of_a_network_each() -> None:
    rows = 30_000
    names = pd.Categorical([f"id-{at:05d}" for at in range(rows)])
    data = table_of(id=names, x=np.arange(rows, dtype=float))
    encoding = TableEncoding.fitted(data.frame)
    assert encoding.width == 1
    assert encoding.encode(data.frame).shape == (rows, 1)
    (said,) = warnings_about(data)
    assert "'id' has 30,000 categories" in said
    assert "left out" in said


def test_a_network_on_nothing_but_identifiers_is_refused() -> None:
    data = table_of(id=pd.Categorical([f"id-{at:05d}" for at in range(2_000)]))
    with pytest.raises(InvalidData, match="as identifiers do"):
        TableEncoding.fitted(data.frame)


def test_the_most_frequent_of_many_categories_are_learnt_and_the_logged_model_does_the_same() -> (
    None
):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3_000, 20_000) // rng.integers(1, 4, 20_000)
    data = table_of(city=pd.Categorical([f"c{value}" for value in values]))
    encoding = TableEncoding.fitted(data.frame)
    encoded = encoding.encode(data.frame)
    assert encoding.width == MOST_CATEGORIES
    kept = pd.Series(values).value_counts().head(50).index
    assert encoded[np.isin(values, kept)].sum(axis=1).min() == 1
    assert "the 1,000 most frequent" in warnings_about(data)[0]
    scoring = Scoring()
    scoring.columns = raw_columns
    scoring.about = {"columns": [asdict(column) for column in encoding.columns]}
    raw = pd.DataFrame({"city": [f"c{value}" for value in values]})
    assert (scoring._encode(raw) == encoded).all()


def test_text_of_which_nearly_all_values_differ_is_warned_of(tmp_path) -> None:
    names = [f"id-{at}" for at in range(1_000)]
    names[500:510] = names[:10]
    table = pa.table({"id": names, "x": np.arange(1_000) % 7, "y": np.arange(1_000) % 2})
    pq.write_table(table, tmp_path / "a.parquet")
    spec = FileData(source="file", uri="a.parquet", target="y")
    access = DataAccess(roots=(tmp_path,), data_dir=tmp_path)
    data = loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)
    assert any("'id' has 990 different values in 1,000 rows" in each for each in data.warnings)
