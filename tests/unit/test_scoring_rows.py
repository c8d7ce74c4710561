"""The rows that a scoring is given, from files of every kind, a few at a time."""

import gzip
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from trainyard import raw_columns
from trainyard.contract import FileData, ScoreRequest, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.datasets.scoring import rows as rows_of
from trainyard.datasets.scoring import tables
from trainyard.datasets.scoring.images import rows_of_images
from trainyard.datasets.scoring.rows import RowsToScore
from trainyard.datasets.scoring.tables import Wanted, rows_of_table
from trainyard.datasets.tables import csv, streams
from trainyard.datasets.tables.as_trained import Trained
from trainyard.datasets.tables.recognition.notation import Notation
from trainyard.datasets.tables.streams import regrouped
from trainyard.errors import InvalidData

AS_NUMBERS = [{"column": "dept", "op": "==", "value": 1}]


@pytest.fixture
def access(tmp_path: Path) -> DataAccess:
    return DataAccess(roots=(tmp_path,), data_dir=tmp_path)


def asked(uri: str, **changes: Any) -> ScoreRequest:
    data = {"source": "file", "uri": uri, "target": "y", **changes.pop("data", {})}
    body = {"model_uri": "models:/m/1", "data": data, **changes}
    return ScoreRequest.model_validate(body)


def read(
    request: ScoreRequest,
    access: DataAccess,
    *features: str,
    task: Task | None = Task.CLASSIFICATION,
    trained: Trained = (),
) -> tuple[pd.DataFrame, RowsToScore]:
    """All slices as one frame, with what is kept in columns of their own."""
    wanted = Wanted(features, tuple(request.keep), task, trained)
    with rows_of_table(request, wanted, access) as rows:
        found = [
            each.x.assign(**{f"kept_{name}": each.kept[name] for name in request.keep})
            if each.kept is not None
            else each.x
            for each in rows.slices()
        ]
    return pd.concat(found, ignore_index=True), rows


def table(count: int = 1_000) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": np.arange(count),
            "a": rng.normal(size=count),
            "k": rng.choice(["x", "y", None], count),
            "y": rng.choice(["no", "yes"], count),
        }
    )


def test_parquet_comes_in_slices_in_the_order_of_the_file(
    tmp_path: Path, access: DataAccess
) -> None:
    whole = table()
    whole.to_parquet(tmp_path / "t.parquet", row_group_size=100)
    found, rows = read(asked("t.parquet", keep=["id"]), access, "a", "k")
    assert rows.total == 1_000
    np.testing.assert_array_equal(found["a"], whole["a"])
    assert list(found["kept_id"]) == list(whole["id"])
    assert found["k"].isna().sum() == whole["k"].isna().sum()
    assert rows.truth is not None
    assert rows.truth.classes == ("no", "yes")
    np.testing.assert_array_equal(rows.truth.y, (whole["y"] == "yes").astype(int))


def test_a_folder_s_files_follow_each_other_and_the_folder_s_column_is_there(
    tmp_path: Path, access: DataAccess
) -> None:
    whole = table(90).assign(part=np.repeat(["a", "b", "c"], 30))
    whole.to_parquet(tmp_path / "parts", partition_cols=["part"])
    found, rows = read(asked("parts", keep=["part"]), access, "a")
    np.testing.assert_array_equal(found["a"], whole["a"])
    assert list(found["kept_part"].astype(str)) == list(whole["part"])
    assert rows.total == 90


@pytest.mark.parametrize("packed", [False, True])
def test_a_csv_is_counted_before_it_is_scored(
    tmp_path: Path, access: DataAccess, packed: bool
) -> None:
    whole = table()
    text = whole.to_csv(index=False).encode()
    (tmp_path / "t.csv").write_bytes(gzip.compress(text) if packed else text)
    found, rows = read(asked("t.csv", keep=["id"]), access, "a", "k")
    assert rows.total == len(found) == 1_000
    np.testing.assert_array_equal(found["a"], whole["a"])


def test_a_csv_whose_types_change_after_megabytes_is_scored_as_a_training_reads_it(
    tmp_path: Path, access: DataAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv, "BLOCK_BYTES", 1_000)
    whole = pd.DataFrame({"a": [*range(2_000), 2.5], "y": ["no", *["yes"] * 2_000]})
    whole.to_csv(tmp_path / "t.csv", index=False)
    lines = (tmp_path / "t.csv").read_text().replace(".0\n", "\n").replace(".0,", ",")
    (tmp_path / "t.csv").write_text(lines)
    found, rows = read(asked("t.csv"), access, "a")
    assert found["a"].dtype == np.float64
    np.testing.assert_array_equal(found["a"], whole["a"])
    assert rows.total == 2_001


@pytest.mark.parametrize(
    "split", [{}, {"by": "time", "column": "id"}, {"by": "group", "column": "g"}]
)
def test_only_the_test_rows_come_and_their_truth_is_in_the_order_of_a_training(
    tmp_path: Path, access: DataAccess, split: dict[str, Any]
) -> None:
    whole = table().assign(g=np.arange(1_000) // 7)
    whole.to_parquet(tmp_path / "t.parquet", row_group_size=64)
    request = asked("t.parquet", rows="test", split=split)
    found, rows = read(request, access, "a", "k")
    spec = FileData(source="file", uri="t.parquet", target="y", features=["a", "k"])
    data = load(spec, Split.model_validate(split), task=Task.CLASSIFICATION, access=access)
    assert rows.truth is not None
    assert rows.total == len(found) == len(data.test)
    np.testing.assert_array_equal(rows.truth.y, data.test.y)
    np.testing.assert_array_equal(found["a"].to_numpy()[rows.truth.order], data.test.x["a"])


def test_a_test_table_follows_in_the_types_of_both(tmp_path: Path, access: DataAccess) -> None:
    pd.DataFrame({"a": [1, 2], "y": ["no", "yes"]}).to_parquet(tmp_path / "own.parquet")
    pd.DataFrame({"a": [2.5], "y": ["yes"]}).to_parquet(tmp_path / "newer.parquet")
    found, rows = read(asked("own.parquet", data={"test_uri": "newer.parquet"}), access, "a")
    assert list(found["a"]) == [1.0, 2.0, 2.5]
    assert rows.truth is not None
    assert list(rows.truth.y) == [0, 1, 1]


@pytest.mark.parametrize("uri", ["t.csv", "folder"])
def test_a_csv_is_read_as_the_model_was_trained_and_not_as_its_values_look(
    tmp_path: Path, access: DataAccess, uri: str
) -> None:
    """Text that was categories, and text that was numbers with points between thousands."""
    thousands = {**Notation(",", ".").as_json(), "missing": ["?"]}
    trained: list[dict[str, Any]] = [
        {"name": "dept", "categories": ["01", "02", "2A"]},
        {"name": "truth", "categories": ["false", "true", "unknown"]},
        {"name": "amount", "categories": None, "notation": thousands},
        {"name": "price", "categories": None, "notation": thousands},
    ]
    header = "dept,truth,amount,price\n"
    (tmp_path / "folder").mkdir()
    for name in ("t.csv", "folder/1.csv"):
        text = f"{header}01,true,19.944,1234.56\n02,,?,7\n01,false,950,8.25\n"
        (tmp_path / name).write_text(text)
    names = [each["name"] for each in trained]
    found, _ = read(asked(uri, keep=["dept"]), access, *names, trained=trained)
    made = [raw_columns.codes(found[each["name"]], each["categories"]) for each in trained[:2]]
    assert [each.tolist() for each in made] == [[0, 1, 0], [1, -1, 0]]
    assert list(found["kept_dept"]) == ["01", "02", "01"]
    numbers = [raw_columns.numbers(found[each["name"]], each) for each in trained[2:]]
    np.testing.assert_array_equal(numbers[0], [19_944, np.nan, 950])
    np.testing.assert_array_equal(numbers[1], [1234.56, 7, 8.25])
    stated = asked(uri, data={"csv": {"decimal": "."}, "filter": AS_NUMBERS})
    found, _ = read(stated, access, *names, trained=trained)
    assert found["dept"].tolist() == [1, 1]
    assert found["amount"].tolist() == ["19.944", "950"]


def test_numbers_that_a_network_keeps_as_text_are_read_as_numbers(
    tmp_path: Path, access: DataAccess
) -> None:
    """As in its training, where they were named categorical: 02138 was 2138."""
    trained = [{"name": name, "categories": ["10115", "2138"]} for name in ("zip", "left")]
    trained[1]["categories"] = ["False", "True"]
    (tmp_path / "t.csv").write_text("zip,left\n02138,True\n10115,False\n")
    found, _ = read(asked("t.csv"), access, "zip", "left", trained=trained)
    made = [raw_columns.codes(found[each["name"]], each["categories"]) for each in trained]
    assert [each.tolist() for each in made] == [[1, 0], [1, 0]]


def test_what_the_names_of_folders_tell_is_kept(tmp_path: Path, access: DataAccess) -> None:
    for year in (2023, 2024):
        (tmp_path / f"t/year={year}").mkdir(parents=True)
        (tmp_path / f"t/year={year}/1.csv").write_text("a,zip\n1,01067\n")
    found, _ = read(
        asked("t", keep=["year", "zip"], data={"format": "csv", "target": None}), access, "a"
    )
    assert found["kept_year"].tolist() == [2023, 2024]
    assert found["kept_zip"].tolist() == ["01067", "01067"]


@pytest.mark.parametrize("rows", [{}, {"rows": "test", "split": {"test_size": 0.5, "seed": 1}}])
def test_classes_that_are_text_are_text_in_a_csv_too(
    tmp_path: Path, access: DataAccess, rows: dict[str, Any]
) -> None:
    pd.DataFrame({"a": range(20), "y": ["01", "02"] * 10}).to_csv(tmp_path / "t.csv", index=False)
    request = asked("t.csv", **rows)
    wanted = Wanted(("a",), (), Task.CLASSIFICATION, classes_are_text=True)
    with rows_of_table(request, wanted, access) as found:
        assert found.truth is not None
        assert found.truth.classes == ("01", "02")


@pytest.mark.parametrize("uri", ["t.csv", "folder"])
def test_what_is_kept_of_a_csv_has_its_zeros_and_all_its_digits(
    tmp_path: Path, access: DataAccess, uri: str
) -> None:
    """Of what a number holds, the type stays; a column that the model reads is as it was trained."""
    lines = ["zip,card,id,price,a", "01067,89490200001234567890,7,0.50,007", "10115,1,8,12.5,8"]
    (tmp_path / "folder").mkdir()
    for name in ("t.csv", "folder/1.csv"):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    found, _ = read(asked(uri, keep=["zip", "card", "id", "price", "a"]), access, "a")
    assert found["kept_zip"].tolist() == ["01067", "10115"]
    assert found["kept_card"].tolist() == ["89490200001234567890", "1"]
    assert found["kept_id"].tolist() == [7, 8]
    assert found["kept_price"].tolist() == [0.5, 12.5]
    assert found["kept_a"].tolist() == found["a"].tolist() == [7, 8]


def test_rows_of_one_class_are_measured(tmp_path: Path, access: DataAccess) -> None:
    table(50).assign(y="yes").to_parquet(tmp_path / "t.parquet")
    _, rows = read(asked("t.parquet"), access, "a")
    assert rows.truth is not None
    assert (rows.truth.classes, set(rows.truth.y.tolist())) == (("yes",), {0})


@pytest.mark.parametrize("rows", [{}, {"rows": "test", "split": {}}])
def test_a_weight_that_is_0_in_all_rows_measures_nothing(
    tmp_path: Path, access: DataAccess, rows: dict[str, Any]
) -> None:
    table(50).assign(w=0).to_parquet(tmp_path / "t.parquet")
    found, made = read(asked("t.parquet", data={"weight": "w"}, **rows), access, "a")
    assert made.total == len(found)
    assert (made.truth, made.no_truth[:20]) == (None, "the weight 'w' is 0 ")


def test_true_and_false_of_parquet_with_missing_values_stay_truths(
    tmp_path: Path, access: DataAccess
) -> None:
    pd.DataFrame({"a": [True, False, None, True]}).to_parquet(tmp_path / "t.parquet")
    found, _ = read(asked("t.parquet"), access, "a")
    assert raw_columns.codes(found["a"], ["false", "true", "unknown"]).tolist() == [1, 0, -1, 1]
    np.testing.assert_array_equal(raw_columns.numbers(found["a"], {"name": "a"}), [1, 0, np.nan, 1])


def test_rows_whose_target_is_missing_are_scored_and_not_measured(
    tmp_path: Path, access: DataAccess
) -> None:
    whole = table(50)
    whole.loc[[3, 7], "y"] = None
    whole.to_parquet(tmp_path / "t.parquet")
    found, rows = read(asked("t.parquet"), access, "a")
    assert len(found) == 50
    assert rows.truth is not None
    assert rows.truth.order is not None
    assert set(range(50)) - set(rows.truth.order.tolist()) == {3, 7}


@pytest.mark.parametrize(
    "change, task, words",
    [
        (lambda frame: frame.drop(columns="y"), Task.CLASSIFICATION, "no column 'y'"),
        (lambda frame: frame.assign(y=None), Task.CLASSIFICATION, "missing in all rows"),
        (lambda frame: frame, Task.REGRESSION, "regression needs numbers"),
        (lambda frame: frame, None, "classes or values"),
    ],
)
def test_where_nothing_can_be_measured_the_rows_still_come_and_say_why(
    tmp_path: Path, access: DataAccess, change: Any, task: Task | None, words: str
) -> None:
    change(table(50)).to_parquet(tmp_path / "t.parquet")
    found, rows = read(asked("t.parquet"), access, "a", task=task)
    assert len(found) == 50
    assert rows.truth is None
    assert words in rows.no_truth


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_of_too_many_rows_no_target_is_kept(
    tmp_path: Path, access: DataAccess, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(tables, "MOST_MEASURED", 99)
    whole = table(100)
    whole.to_parquet(tmp_path / name) if name.endswith("parquet") else whole.to_csv(
        tmp_path / name, index=False
    )
    _, rows = read(asked(name), access, "a")
    assert (rows.total, rows.truth) == (100, None)
    assert "100 rows" in rows.no_truth


def test_a_column_that_is_gone_when_the_run_begins_is_named(
    tmp_path: Path, access: DataAccess
) -> None:
    table(10).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InvalidData, match="no column 'ab'"):
        read(asked("t.parquet"), access, "ab")


def test_small_batches_are_joined_and_empty_ones_left_out() -> None:
    batches = [pa.record_batch({"a": [*range(size)]}) for size in (3, 0, 2, 6, 1)]
    assert [each.num_rows for each in regrouped(batches, 5)] == [5, 6, 1]


def test_a_large_file_takes_little_memory(tmp_path: Path, access: DataAccess) -> None:
    column = pa.array(np.random.default_rng(0).normal(size=1_000_000))
    whole = pa.table({f"c{number}": column for number in range(20)})
    parquet.write_table(whole, tmp_path / "t.parquet")
    size = whole.nbytes
    del whole, column
    before, most = pa.total_allocated_bytes(), 0
    wanted = Wanted(tuple(f"c{number}" for number in range(20)), (), None)
    with rows_of_table(asked("t.parquet"), wanted, access) as rows:
        for each in rows.slices():
            assert len(each) <= 2 * streams.ROWS_AT_ONCE
            most = max(most, pa.total_allocated_bytes() - before)
    assert most < size / 2


def test_images_come_with_those_for_the_test_last(tmp_path: Path, access: DataAccess) -> None:
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((6, 2, 2), np.uint8)
    np.savez(
        tmp_path / "i.npz",
        x_train=images[:4],
        y_train=[0, 1, 0, 1],
        x_test=images[4:],
        y_test=[1, 0],
    )
    data = {"source": "images", "uri": "i.npz"}
    request = ScoreRequest.model_validate({"model_uri": "models:/m/1", "data": data})
    with nullcontext(rows_of_images(request, access)) as rows:
        found = np.concatenate([each.x for each in rows.slices()])
    assert found[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert rows.truth is not None
    assert rows.truth.y.tolist() == [0, 1, 0, 1, 1, 0]
    tests = {"rows": "test", "split": Split(validation_size=0.0)}
    tested = rows_of_images(request.model_copy(update=tests), access)
    assert [each.x[:, 0, 0, 0].tolist() for each in tested.slices()] == [[4, 5]]
    assert tested.total < rows_of.MOST_MEASURED
