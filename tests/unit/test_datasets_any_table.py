"""Whatever is in a table, it is trained on or refused in words, and never a fault of ours."""

import contextlib
import datetime as dt
import json
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData
from trainyard.trainer import Data, Training
from trainyard.worker.evaluation import evaluate

MOST_ROWS, MOST_COLUMNS = 50, 7
TARGETS: list[list[Any]] = [[False, True], [1, 2, 3], ["no", "yes"], [-0.5, 1.5, 1e9]]
NUMERIC_TEXT = st.sampled_from(
    ["1,5", "1.234,5", "$2", "7 %", "?", "-", "", " ", "01/02/2020", "007", "1e999", "12", "3.5"]
)
TEXT = NUMERIC_TEXT | st.text(max_size=6)
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
    pa.uint64(): st.integers(0, 2**64 - 1) | st.integers(0, 3),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats() | st.sampled_from([0.0, 1.0]),
    pa.decimal128(30, 2): st.decimals(-(10**20), 10**20, places=2, allow_nan=False),
    pa.bool_(): st.booleans(),
    pa.string(): TEXT,
    pa.large_string(): TEXT,
    pa.string_view(): TEXT,
    pa.dictionary(pa.int32(), pa.string()): TEXT,
    pa.dictionary(pa.int32(), pa.int64()): st.integers(0, 3),
    pa.binary(): st.binary(max_size=4),
    pa.binary(4): st.binary(min_size=4, max_size=4),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "UTC"): st.datetimes(),
    pa.timestamp("ns", "Europe/Berlin"): st.integers(-(2**62), 2**62),
    pa.time64("us"): st.times(),
    pa.time32("s"): st.times(),
    pa.duration("s"): st.timedeltas(),
    pa.duration("us"): st.timedeltas(dt.timedelta(-(10**6)), dt.timedelta(10**6)),
    pa.uuid(): st.uuids().map(lambda each: each.bytes),
    pa.binary_view(): st.binary(max_size=4),
    pa.dictionary(pa.int32(), pa.float64()): st.floats(),
    pa.map_(pa.string(), pa.int64()): st.none(),
    pa.null(): st.none(),
    pa.list_(pa.float64()): st.lists(st.floats(), max_size=3),
    pa.struct([("a", pa.int64())]): st.fixed_dictionaries({"a": st.integers(0, 9)}),
}
NAMES = st.text(max_size=5) | st.sampled_from(["a", "Unnamed: 0", "__index_level_0__", " y", "Y"])
ANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def columns(draw: st.DrawFn, rows: int, kinds: list[pa.DataType]) -> pa.Array:
    """Values of one type; often few that differ, so that there are classes, and seldom one that is missing."""
    kind = draw(st.sampled_from(kinds))
    value = VALUES[kind]
    if draw(st.booleans()):
        value = st.sampled_from(draw(st.lists(value, min_size=2, max_size=3)))
    if draw(st.integers(0, 3)) == 0:
        value = st.none() | value
    return pa.array(draw(st.lists(value, min_size=rows, max_size=rows)), kind)


def targets(rows: int, values: list[Any]) -> st.SearchStrategy[pa.Array]:
    """Labels or numbers that can be trained on, where there are enough rows."""
    return st.lists(st.sampled_from(values), min_size=rows, max_size=rows).map(pa.array)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Up to 50 rows of up to 8 columns, the target among them."""
    rows = draw(st.integers(0, MOST_ROWS) | st.integers(20, MOST_ROWS))
    names = draw(st.lists(NAMES, max_size=MOST_COLUMNS, unique=True))
    usual = [pa.float64(), pa.int64(), pa.string(), pa.bool_()]
    kinds = draw(st.sampled_from([usual, list(VALUES)]))
    target = draw(st.one_of(columns(rows, kinds), *map(partial(targets, rows), TARGETS)))
    others = {name: draw(columns(rows, kinds)) for name in names if name != "y"}
    return pa.table({**others, "y": target})


def look(root: Path, task: Task, **fields: Any) -> None:
    """At the file as a submit does, and then as a run does."""
    access = DataAccess((root,), root)
    data = None
    with contextlib.suppress(InvalidData):
        spec = FileData.model_validate({"source": "file", "target": "y", **fields})
        loading.inspect(spec, task=task, kinds=("table",), access=access, split=Split())
        data = loading.load(spec, Split(), task=task, access=access)
    if data is None:
        return
    json.dumps(data.profile, allow_nan=False).encode()
    trained_on(data, root)


def trained_on(data: Data, root: Path) -> None:
    """A small XGBoost, by what a run does with it; where the environment has XGBoost."""
    models = pytest.importorskip("trainyard_boosting.xgboost_models")
    trainer = models.classifier if data.task is Task.CLASSIFICATION else models.regressor
    training = Training(
        seed=0,
        threads=1,
        checkpoints=root,
        report=lambda **_: None,
        checkpoint_due=lambda: False,
    )
    fitted = trainer.train(trainer.params(n_estimators=1), data, training)
    for name, part in (("train", data.train), ("test", data.test)):
        predicted = fitted.predict(part.x)
        assert evaluate(data.task, predicted, part, data.classes, name)
    fitted.raw_example(data.frame)
    fitted.feature_importance()


@ANY
@given(table=tables(), task=st.sampled_from(Task), data=st.data())
def test_any_parquet_is_loaded_or_refused(
    tmp_path: Path, table: pa.Table, task: Task, data: st.DataObject
) -> None:
    pq.write_table(table, tmp_path / "x.parquet")
    named = [name for name in table.column_names if len(name) > 0]
    weight = data.draw(st.none() | st.sampled_from(named))
    categorical = data.draw(st.lists(st.sampled_from(named), max_size=2, unique=True))
    look(tmp_path, task, uri="x.parquet", weight=weight, categorical=categorical)


@ANY
@given(
    cells=st.lists(st.lists(TEXT, min_size=3, max_size=3), max_size=MOST_ROWS),
    task=st.sampled_from(Task),
)
def test_any_csv_of_cells_is_loaded_or_refused(
    tmp_path: Path, cells: list[list[str]], task: Task
) -> None:
    lines = [",".join(each) for each in [["a", "b", "y"], *cells]]
    (tmp_path / "x.csv").write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    look(tmp_path, task, uri="x.csv")


@ANY
@given(content=st.binary(max_size=200) | st.text('a,y01\n";\t', max_size=200).map(str.encode))
def test_any_bytes_are_loaded_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,y\n" + content)
    look(tmp_path, Task.CLASSIFICATION, uri="x.csv")
