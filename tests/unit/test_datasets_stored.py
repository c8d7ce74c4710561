"""Durations, times of day, UUIDs and other bytes are trained on, said, and read alike by the logged model."""

import datetime as dt
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData
from trainyard.trainer import Training

ROWS = 200
LABELS = [row % 2 for row in range(ROWS)]
SECONDS = [(row * 37 + row % 2 * 40_000) % 86_400 for row in range(ROWS)]
DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
UUIDS = [uuid.UUID(int=7 + row % 2) for row in range(ROWS)]
HASHES = [b"\xff\xfe" if row % 2 else b"ab" for row in range(ROWS)]


def load(root: Path, uri: str = "x.parquet", **fields):
    access = DataAccess((root,), root)
    spec = FileData(source="file", uri=uri, target="y", **fields)
    loading.inspect(spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split())
    return loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)


def column(root: Path, values: pa.Array, **fields):
    pq.write_table(pa.table({"x": values, "y": LABELS}), root / "x.parquet")
    return load(root, **fields)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([1000 * each for each in SECONDS], pa.duration("ms")), "durations"),
        (pa.array(SECONDS, pa.time32("s")), "times of day"),
        (pa.array([10**6 * each for each in SECONDS], pa.time64("us")), "times of day"),
    ],
)
def test_spans_of_time_are_read_as_seconds_and_said(tmp_path, values, words):
    data = column(tmp_path, values)
    assert data.frame["x"].dtype == np.float64
    assert set(data.frame["x"]) <= set(SECONDS)
    assert f"the column 'x' holds {words}, and is read as seconds" in data.warnings


def test_times_of_day_in_a_csv_are_read_as_seconds(tmp_path):
    lines = [f"{DAY + dt.timedelta(seconds=each):%H:%M:%S},{each % 2}" for each in SECONDS]
    (tmp_path / "x.csv").write_text("\n".join(["x,y", *lines]))
    assert set(load(tmp_path, "x.csv").frame["x"]) <= set(SECONDS)


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (pa.array([each.bytes for each in UUIDS], pa.uuid()), sorted(map(str, set(UUIDS)))),
        (pa.array([b"ab", b"cd"] * (ROWS // 2), pa.binary(2)), ["ab", "cd"]),
        (pa.array(HASHES, pa.binary(2)), ["6162", "fffe"]),
        (pa.array(["é".encode(), b"cd"] * (ROWS // 2), pa.binary()), ["cd", "é"]),
        (pa.array([b"ab", b"cd"] * (ROWS // 2), pa.large_binary()), ["ab", "cd"]),
    ],
)
def test_names_of_any_storage_are_categories(tmp_path, values, categories):
    assert list(column(tmp_path, values).frame["x"].cat.categories) == categories


def test_a_categorical_of_numbers_stays_one_unless_the_request_says_otherwise(tmp_path):
    frame = pd.DataFrame({"x": pd.Categorical([7, 9] * (ROWS // 2)), "y": LABELS})
    frame.to_parquet(tmp_path / "x.parquet", index=False)
    assert list(load(tmp_path).frame["x"].cat.categories) == [7, 9]
    stated = load(tmp_path, columns={"x": {"type": "number"}})
    assert stated.frame["x"].dtype == np.int64


def test_numbers_as_bytes_are_numbers(tmp_path):
    data = column(tmp_path, pa.array([str(each).encode() for each in SECONDS], pa.binary()))
    assert data.frame["x"].dtype == np.float64


def test_bytes_that_are_no_text_are_refused_in_the_run(tmp_path):
    with pytest.raises(InvalidData, match="the column 'x' holds bytes that are not UTF-8 text"):
        column(tmp_path, pa.array([b"\xff"] * ROWS, pa.binary()))


@pytest.mark.parametrize(
    ("values", "cure"),
    [
        (pa.array([[1.0, 2.0]] * ROWS), "such as its length, its mean, or a column a value"),
        (pa.array([{"a": 1, "b": 2}] * ROWS), "columns of their own, such as 'x.a', 'x.b'"),
    ],
)
def test_nested_values_are_refused_with_what_to_do(tmp_path, values, cure):
    with pytest.raises(InvalidData, match="the column 'x' is of type") as error:
        column(tmp_path, values)
    assert cure in error.value.detail


def test_a_logged_model_reads_spans_and_names_in_every_type_that_a_caller_has(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    classifier = pytest.importorskip("trainyard_boosting.xgboost_models").classifier
    raw = {
        "span": pa.array(SECONDS, pa.duration("s")),
        "clock": pa.array(SECONDS, pa.time32("s")),
        "who": pa.array([each.bytes for each in UUIDS], pa.uuid()),
        "hash": pa.array(HASHES, pa.binary(2)),
    }
    labels = [(each > 40_000) ^ (row % 3 == 0) for row, each in enumerate(SECONDS)]
    pq.write_table(pa.table({**raw, "y": labels}), tmp_path / "x.parquet")
    data = load(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    training = Training(
        seed=1,
        threads=1,
        checkpoints=tmp_path / "checkpoints",
        report=lambda **_: None,
        checkpoint_due=lambda: False,
    )
    fitted = classifier.train(classifier.params(n_estimators=5), data, training)
    fitted.save_model(tmp_path / "model", input_example=fitted.raw_example(data.frame))
    code = mlflow.pyfunc.load_model(str(tmp_path / "model")).unwrap_python_model()
    spans = [dt.timedelta(seconds=each) for each in SECONDS]
    clocks = [(DAY + each).replace(tzinfo=None).time() for each in spans]
    asked = [
        pd.DataFrame({"span": SECONDS, "clock": SECONDS, "who": UUIDS, "hash": HASHES}),
        pd.DataFrame({"span": spans, "clock": clocks, "who": map(str, UUIDS), "hash": HASHES}),
        pd.DataFrame(
            {
                "span": pd.Series(spans, dtype=object),
                "clock": map(str, clocks),
                "who": map(str, UUIDS),
                "hash": ["fffe" if each == HASHES[1] else "6162" for each in HASHES],
            }
        ),
    ]
    found = [code.predict(None, each, {"method": "predict_proba"}).to_numpy() for each in asked]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert np.ptp(found[0][:, 0]) > 0.1
    with pytest.raises(ValueError, match="the column 'clock' is 'x:y', where a time such as"):
        code.predict(None, asked[2].assign(clock="x:y"))


def test_in_a_file_of_decimal_commas_points_before_three_digits_are_thousands(tmp_path):
    rows = [
        f"{row / 7:.2f};{row + 1}.{row:03d};{row % 2}".replace(".", ",", 1) for row in range(200)
    ]
    (tmp_path / "x.csv").write_text("\n".join(["a;b;y", *rows]))
    data = load(tmp_path, "x.csv")
    assert data.frame["a"].max() < 29
    assert data.frame["b"].min() >= 1000
    assert any("'b' holds numbers as text" in each and "by '.'" in each for each in data.warnings)
