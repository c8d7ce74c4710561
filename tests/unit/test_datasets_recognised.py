"""Tables whose numbers are written as text train as the clean table does, and say so."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from pydantic import ValidationError
from trainyard.contract import FileData, ScoreRequest, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.scoring.tables import Wanted, rows_of_table
from trainyard.datasets.tables.raw import held_out
from trainyard.datasets.tables.warned import MOST
from trainyard.errors import InvalidData

RNG = np.random.default_rng(3)
PRICES = RNG.uniform(0, 90_000, 300).round(2)


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"price": PRICES, "b": RNG.normal(size=300), "y": RNG.integers(0, 2, 300)})


def load(root: Path, uri: str, task: Task = Task.CLASSIFICATION, **fields):
    access = DataAccess((root,), root)
    spec = FileData.model_validate({"source": "file", "uri": uri, "target": "y", **fields})
    loading.inspect(spec, task=task, kinds=("table",), access=access, split=Split())
    return loading.load(spec, Split(), task=task, access=access)


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def written(frame: pd.DataFrame, root: Path, spelled, column: str = "price") -> str:
    changed = frame.assign(**{column: [spelled(value) for value in frame[column]]})
    changed.to_csv(root / "text.csv", index=False)
    return "text.csv"


@pytest.mark.parametrize(
    "spelled",
    [german, lambda value: f"${value:,.2f}", lambda value: f"{value:.2f} %".replace(".", ",")],
    ids=["decimal comma", "dollars", "per cent"],
)
def test_text_is_read_as_the_clean_column(tmp_path, frame, spelled):
    frame.to_csv(tmp_path / "clean.csv", index=False)
    clean, text = load(tmp_path, "clean.csv"), load(tmp_path, written(frame, tmp_path, spelled))
    pd.testing.assert_frame_equal(text.frame, clean.frame)
    assert text.digest == clean.digest
    assert clean.warnings == ()
    assert "'price'" in text.warnings[0]
    assert text.profile["warnings"] == list(text.warnings)
    assert set(text.notations) == {"price"}
    assert not clean.notations


def test_strings_in_parquet_are_numbers(tmp_path, frame):
    frame.assign(price=frame["price"].astype(str)).to_parquet(tmp_path / "text.parquet")
    data = load(tmp_path, "text.parquet")
    assert data.frame["price"].dtype == np.float64
    assert "'price'" in data.warnings[0]


def test_a_mark_is_missing(tmp_path, frame):
    data = load(tmp_path, written(frame, tmp_path, lambda value: "?" if value < 5_000 else value))
    everything = pd.concat([data.train.x, data.validation.x, data.test.x])["price"]
    assert everything.isna().sum() == (PRICES < 5_000).sum()


def test_the_request_has_the_last_word(tmp_path, frame):
    uri = written(frame, tmp_path, lambda value: f"{int(value) % 9 + 1},{int(value) % 900 + 100}")
    guessed = load(tmp_path, uri)
    assert guessed.frame["price"].dtype == "category"
    assert "decimal comma or thousands" in guessed.warnings[0]
    comma = load(tmp_path, uri, columns={"price": {"type": "number", "decimal": ","}})
    assert comma.frame["price"].between(1, 10).all()
    assert comma.warnings == ()
    thousands = load(tmp_path, uri, columns={"price": {"type": "number", "thousands": ","}})
    assert thousands.frame["price"].between(1_000, 10_000).all()


@pytest.mark.parametrize(
    "said", [{"categorical": ["price"]}, {"columns": {"price": {"type": "category"}}}], ids=str
)
def test_what_is_called_a_category_stays_one(tmp_path, frame, said):
    data = load(tmp_path, written(frame, tmp_path, german), **said)
    assert data.frame["price"].dtype == "category"
    assert not any("number" in each for each in data.warnings)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"columns": {"prise": {"type": "category"}}}, "/data/columns/prise"),
        ({"columns": {"y": {"type": "category"}}}, "/data/columns/y"),
        (
            {"columns": {"b": {"type": "category"}}, "features": ["price"]},
            "/data/columns/b",
        ),
        (
            {"columns": {"price": {"type": "number"}}, "categorical": ["price"]},
            "/data/columns/price",
        ),
    ],
    ids=str,
)
def test_a_stated_column_must_be_a_feature(tmp_path, frame, fields, pointer):
    frame.to_csv(tmp_path / "clean.csv", index=False)
    with pytest.raises(InvalidData) as refused:
        load(tmp_path, "clean.csv", **fields)
    assert refused.value.pointer == pointer


def test_thousands_cannot_be_the_decimal_mark():
    stated = {"price": {"type": "number", "decimal": ",", "thousands": ","}}
    with pytest.raises(ValidationError, match="the decimal mark too"):
        FileData.model_validate({"source": "file", "uri": "a", "target": "y", "columns": stated})


def test_a_regression_s_target_may_be_text(tmp_path, frame):
    clean = frame.assign(y=PRICES)
    clean.to_csv(tmp_path / "clean.csv", index=False)
    text = load(tmp_path, written(clean, tmp_path, german, "y"), Task.REGRESSION)
    assert np.array_equal(text.train.y, load(tmp_path, "clean.csv", Task.REGRESSION).train.y)
    assert any("the target 'y' is text" in each for each in text.warnings)


def test_a_target_that_cannot_be_told_is_refused_with_the_cure(tmp_path, frame):
    uri = written(frame.assign(y=PRICES), tmp_path, lambda value: f"{int(value) % 9 + 1},250", "y")
    with pytest.raises(InvalidData, match="with a decimal point and without thousands") as refused:
        load(tmp_path, uri, Task.REGRESSION)
    assert refused.value.pointer == "/data/target"


def test_thousands_of_a_target_and_a_weight_are_read_by_the_file_s_decimal_comma(tmp_path):
    amounts = np.append(RNG.integers(200, 20_000, 297), [950, 1_070, 19_743])
    text = [f"{amount:,}".replace(",", ".") for amount in amounts]
    table = pd.DataFrame({"area": RNG.uniform(30, 200, 300).round(1), "y": text, "w": text})
    for name in ("all.csv", "more.csv"):
        table.assign(f=text).to_csv(tmp_path / name, sep=";", decimal=",", index=False)
    data = load(tmp_path, "all.csv", Task.REGRESSION, weight="w", test_uri="more.csv")
    assert np.array_equal(np.sort(data.test.y), np.sort(amounts))
    for part in (data.train, data.validation, data.test):
        assert np.array_equal(part.y, part.x["f"])
        assert np.array_equal(part.weight, part.y)
    apart = "is text, and is read as numbers with decimal ',' and thousands apart by '.'"
    assert {f"the target 'y' {apart}", f"the weight 'w' {apart}"} <= {*data.warnings}

    access = DataAccess((tmp_path,), tmp_path)
    fields = {"source": "file", "uri": "all.csv", "target": "y", "weight": "w"}
    spec = FileData.model_validate(fields)
    again, _ = held_out(spec, Split(), task=Task.REGRESSION, access=access, columns=["area"])
    assert np.array_equal(again.all_y, amounts)
    request = ScoreRequest.model_validate({"model_uri": "models:/m/1", "data": fields})
    for asked in (request, request.model_copy(update={"rows": "test", "split": Split()})):
        with rows_of_table(asked, Wanted(("area",), (), Task.REGRESSION), access) as rows:
            assert rows.truth.y.min() > 199
            assert np.array_equal(rows.truth.y, rows.truth.weight)


def test_rows_of_a_separate_test_table_were_trained_on_by_nobody(tmp_path, frame):
    access = DataAccess((tmp_path,), tmp_path)
    frame.to_parquet(tmp_path / "t.parquet")
    fields = {"source": "file", "uri": "t.parquet", "target": "y"}
    for more, seen in (({}, True), ({"test_uri": "t.parquet"}, False)):
        spec = FileData.model_validate(fields | more)
        rows, _ = held_out(spec, Split(), task=Task.CLASSIFICATION, access=access, columns=[])
        assert bool(rows.trained_on(Split(seed=7))) is seen


@pytest.mark.parametrize(
    ("kind", "last", "seen"),
    [
        ("day", "2024-01-09", 1),
        ("day", "2024-01-09T00:00:00", 1),
        ("day", "2024-01-09T12:00:00", 1),
        ("hour", "2024-01-09", 1),
        ("hour", "2024-01-09T00:30:00", 2),
        ("utc", "2024-01-09T01:00:00+02:00", 0),
        ("utc", "2024-01-09T00:00:00+00:00", 1),
        ("utc", "2024-01-09", None),
        ("day", 9, None),
        ("day", "soon", None),
        ("number", 8.5, 1),
    ],
)
def test_rows_that_a_champion_has_seen_are_counted_however_its_times_were_written(
    tmp_path, kind, last, seen
):
    """Tested on the last of ten days, of which it may have trained on some."""
    days = pd.date_range("2024-01-01", periods=10)
    when = {
        "day": pa.array(days.date),
        "hour": pa.array(days.where(days.day < 10, days[8] + pd.Timedelta("15min"))),
        "utc": pa.array(days.tz_localize("UTC")),
        "number": pa.array(range(10)),
    }[kind]
    table = pa.table({"when": when, "a": range(10), "y": [0, 1] * 5})
    pq.write_table(table, tmp_path / "t.parquet")
    spec = FileData(source="file", uri="t.parquet", target="y", features=["a"])
    split = Split(by="time", column="when", test_size=0.2, validation_size=0)
    access = DataAccess((tmp_path,), tmp_path)
    rows, x = held_out(spec, split, task=Task.CLASSIFICATION, access=access, columns=["a"])
    assert len(x) == 2
    assert rows.not_after(last) == seen


def test_constants_identifiers_leaks_and_indexes_are_named(tmp_path, frame):
    suspect = frame.assign(
        always=1, number=range(300), leak=frame["y"] * 2, when=["13/01/2020", "01/02/2020"] * 150
    )
    suspect.sample(frac=1, random_state=0).to_parquet(tmp_path / "suspect.parquet")
    said = load(tmp_path, "suspect.parquet").warnings
    for name, words in [
        ("__index_level_0__", "left out"),
        ("always", "in every row"),
        ("number", "differ"),
        ("leak", "alone predicts"),
        ("when", "the day first"),
    ]:
        assert [each for each in said if f"'{name}'" in each and words in each], name
    assert not any("'b'" in each for each in said)


def test_a_backup_among_the_files_is_told_of(tmp_path, frame):
    (tmp_path / "folder").mkdir()
    for name in ("data", "data_old"):
        frame.to_parquet(tmp_path / f"folder/{name}.parquet")
    assert load(tmp_path, "folder").warnings[0].startswith("600 of 600 rows are the same")


def test_warnings_stay_few(tmp_path, frame):
    wide = pd.concat([frame, pd.DataFrame(dict.fromkeys(map(str, range(150)), [0] * 300))], axis=1)
    wide.to_parquet(tmp_path / "wide.parquet")
    said = load(tmp_path, "wide.parquet").warnings
    assert len(said) == MOST
    assert "51 more" in said[-1]
