"""Whatever is in a table, it is trained on or refused in words, and never a fault of ours."""

import contextlib
import csv
import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData
from trainyard.trainer import Data, Training
from trainyard.worker.evaluation import evaluate

MOST_ROWS, MOST_COLUMNS = 50, 7
TARGETS: dict[Task, list[list[Any]]] = {
    Task.CLASSIFICATION: [[False, True], [1, 2, 3], ["no", "yes"], [0.0, 1.0]],
    Task.REGRESSION: [[False, True], [1, 2, 3], [-0.5, 1.5, 1e9], ["$1,500", "$-2"]],
}
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
NESTED = [kind for kind in VALUES if pa.types.is_nested(kind) or pa.types.is_null(kind)]
WRITTEN = [
    *(
        "{:.2f}",
        "{:.0f}",
        "{:.3e}",
        "{:,.2f}",
        "${:,.0f}",
        "{:.1f}%",
        "{:.0f} kg",
        "({:.2f})",
        "{:.1f}-",
    ),
    *("0{:.0f}", "<{:.0f}", "{:.0f}:00", "0x{:.0f}", "{:.2f} €"),
]
"""Ways to write numbers, each for a column."""
DAYS = [
    "%Y-%m-%d",
    "%d/%m/%Y",
    "%m/%d/%y",
    "%d.%m.%Y %H:%M",
    "%Y-%m-%dT%H:%M:%SZ",
    "%d %b %Y",
    "%Y%m%d",
]
MARKS = st.sampled_from(["", "?", "-", "n/a", " ", "None", "#DIV/0!", "k.A.", "0000-00-00"])
ODD = st.sampled_from([0.0, -0.0, 1.0, math.nan, 5e-324, 1e30, -1e30, 2.0**53, 1e-30])
CATEGORIES = st.sampled_from(
    [
        "red",
        "Red",
        " red",
        "None",
        "",
        "1",
        "01",
        "1.0",
        "true",
        "\N{PILE OF POO}",
        "a\x00",
        'q"u',
        "a,b",
        "l\nn",
    ]
)
NAMES = st.text(max_size=5) | st.sampled_from(["a", "Unnamed: 0", "__index_level_0__", " y", "Y"])


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


def mixed(draw: st.DrawFn, usual: list[Any], odd: st.SearchStrategy[Any]) -> list[Any]:
    """The usual values, with some odd ones among them: none, one, or one in ten."""
    found = draw(st.lists(odd, max_size=2))
    places = draw(st.randoms(use_true_random=False))
    if found:
        for at in places.sample(range(len(usual)), k=draw(st.sampled_from([1, len(usual) // 10]))):
            usual[at] = places.choice(found)
    return usual


@st.composite
def texts(draw: st.DrawFn, rows: int, rng: np.random.Generator) -> pa.Array:
    """Numbers or dates as people write them, or names; each column in one way, but for a few values."""
    kind = draw(st.sampled_from(["numbers", "days", "names"]))
    if kind == "numbers":
        usual = list(map(draw(st.sampled_from(WRITTEN)).format, rng.normal(0, 1000, rows)))
    elif kind == "days":
        day = draw(st.sampled_from(DAYS))
        seconds = rng.integers(0, 2**32, rows).tolist()
        usual = [dt.datetime.fromtimestamp(each, dt.UTC).strftime(day) for each in seconds]
    else:
        usual = rng.choice(draw(st.lists(CATEGORIES, min_size=1, max_size=4)), rows).tolist()
    return pa.array(mixed(draw, usual, MARKS | TEXT), pa.string())


@st.composite
def numbers(draw: st.DrawFn, rows: int, rng: np.random.Generator) -> pa.Array:
    """Floats or whole numbers, none beyond float32, and some of them missing or odd."""
    if draw(st.booleans()):
        usual = rng.normal(0, draw(st.sampled_from([1e-3, 1, 1e6])), rows).tolist()
        return pa.array(mixed(draw, usual, st.none() | ODD), pa.float64())
    usual = rng.integers(0, draw(st.sampled_from([2, 10, 2**53])), rows).tolist()
    return pa.array(mixed(draw, usual, st.none() | st.sampled_from([-(2**53), 0])), pa.int64())


@st.composite
def of_any_type(draw: st.DrawFn, rows: int, rng: np.random.Generator) -> pa.Array:
    """A few values of any type that can be trained on, over and over."""
    kind = draw(st.sampled_from([kind for kind in VALUES if kind not in NESTED]))
    pool = draw(st.lists(st.none() | VALUES[kind], min_size=1, max_size=5))
    return pa.array([pool[at] for at in rng.integers(0, len(pool), rows)], kind)


@st.composite
def usual_tables(draw: st.DrawFn, task: Task) -> pa.Table:
    """What a data team has, and can train on, nearly always."""
    rows = draw(st.sampled_from([30, MOST_ROWS]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    names = draw(st.lists(NAMES.filter(bool), min_size=1, max_size=MOST_COLUMNS, unique=True))
    kinds = st.one_of(texts(rows, rng), numbers(rows, rng), of_any_type(rows, rng))
    target = pa.array(rng.choice(draw(st.sampled_from(TARGETS[task])), rows).tolist())
    others = {name: draw(kinds) for name in names if name != "y"}
    return pa.table({**others, "y": target})


@st.composite
def any_tables(draw: st.DrawFn) -> pa.Table:
    """Up to 50 rows of up to 8 columns, the target among them."""
    rows = draw(st.integers(0, MOST_ROWS) | st.integers(20, MOST_ROWS))
    names = draw(st.lists(NAMES, max_size=MOST_COLUMNS, unique=True))
    usual = [pa.float64(), pa.int64(), pa.string(), pa.bool_()]
    kinds = draw(st.sampled_from([usual, list(VALUES)]))
    sensible = [targets(rows, values) for each in TARGETS.values() for values in each]
    target = draw(st.one_of(columns(rows, kinds), *sensible))
    others = {name: draw(columns(rows, kinds)) for name in names if name != "y"}
    return pa.table({**others, "y": target})


def usual(task: Task) -> st.SearchStrategy[tuple[Task, pa.Table]]:
    """A task, and a table for it."""
    return usual_tables(task).map(lambda table: (task, table))


USUAL = st.sampled_from(Task).flatmap(usual)
TABLES = st.integers(0, 3).flatmap(
    lambda at: USUAL if at else st.tuples(st.sampled_from(Task), any_tables())
)
"""Three in four can be trained on, or so."""


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
    """A small XGBoost and a small LightGBM, by what a run does with them; where the environment has these."""
    for name in ("xgboost_models", "lightgbm_models"):
        _trained_by(pytest.importorskip(f"trainyard_boosting.{name}"), data, root)


def _trained_by(models: Any, data: Data, root: Path) -> None:
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


@pytest.mark.parametrize("first", ["\0a", "", "=", "a=", "==", " "])
def test_names_that_a_library_cannot_keep_are_kept_apart_from_it(
    tmp_path: Path, first: str
) -> None:
    numbers = list(range(40))
    table = pa.table({first: numbers, "a\0b": numbers[::-1], "y": [each % 2 for each in numbers]})
    pq.write_table(table, tmp_path / "x.parquet")
    look(tmp_path, Task.CLASSIFICATION, uri="x.parquet")


@settings(max_examples=examples(40))
@given(given_table=TABLES, data=st.data())
def test_any_parquet_is_loaded_or_refused(
    tmp_path: Path, given_table: tuple[Task, pa.Table], data: st.DataObject
) -> None:
    task, table = given_table
    pq.write_table(table, tmp_path / "x.parquet")
    named = [name for name in table.column_names if len(name) > 0]
    weight = data.draw(st.one_of(*[st.none()] * 5, st.sampled_from(named)))
    categorical = data.draw(
        st.one_of(st.just([]), st.lists(st.sampled_from(named), max_size=2, unique=True))
    )
    look(tmp_path, task, uri="x.parquet", weight=weight, categorical=categorical)


@settings(max_examples=examples(60))
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


@settings(max_examples=examples(20))
@given(given_table=USUAL, delimiter=st.sampled_from(",;\t|"))
def test_any_csv_of_a_table_is_loaded_or_refused(
    tmp_path: Path, given_table: tuple[Task, pa.Table], delimiter: str
) -> None:
    task, table = given_table
    rows = zip(*(map(str, column.to_pylist()) for column in table.columns), strict=True)
    with (tmp_path / "x.csv").open("w", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([table.column_names, *rows])
    look(tmp_path, task, uri="x.csv")


@settings(max_examples=examples(60))
@given(content=st.binary(max_size=200) | st.text('a,y01\n";\t', max_size=200).map(str.encode))
def test_any_bytes_are_loaded_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,y\n" + content)
    look(tmp_path, Task.CLASSIFICATION, uri="x.csv")
