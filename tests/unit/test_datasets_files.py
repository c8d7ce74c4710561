"""Tables in files: what is read, how it is typed and split, and what is refused."""

import gzip
import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from sklearn.model_selection import train_test_split
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData

REAL = os.environ.get("TRAINYARD_TEST_DATA")
needs_real_tables = pytest.mark.skipif(
    not REAL, reason="TRAINYARD_TEST_DATA names no folder of real tables"
)
GOOD = "a,b,colour,y\n" + "".join(
    f"{i},{i / 4},{'red' if i % 3 else 'blue'},{i % 2}\n" for i in range(60)
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "good.csv").write_text(GOOD)
    return tmp_path


def access(root: Path) -> DataAccess:
    return DataAccess(roots=(root,), data_dir=root)


def spec(uri="good.csv", target="y", **others) -> FileData:
    return FileData(source="file", uri=uri, target=target, **others)


def load(root: Path, task=Task.CLASSIFICATION, split=None, **fields):
    return loading.load(spec(**fields), split or Split(), task=task, access=access(root))


def inspect(root: Path, task=Task.CLASSIFICATION, **fields) -> None:
    loading.inspect(spec(**fields), task=task, kinds=("table",), access=access(root), split=Split())


def refused(  # noqa: PLR0913 - what is asked, and what must come of it
    root: Path,
    content: str | bytes | None = None,
    *,
    at_submit=True,
    pointer="/data/uri",
    name="bad.csv",
    task=Task.CLASSIFICATION,
    split=None,
    **fields,
) -> str:
    """The complaint that both the submit (unless told otherwise) and the run give."""
    if content is not None:
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
        fields.setdefault("uri", name)
    with pytest.raises(InvalidData) as in_the_run:
        load(root, task, split, **fields)
    assert in_the_run.value.pointer == pointer
    if at_submit:
        with pytest.raises(InvalidData) as submitted:
            inspect(root, task, **fields)
        assert submitted.value.pointer == pointer
    else:
        inspect(root, task, **fields)
    return in_the_run.value.detail


def together(data) -> pd.DataFrame:
    return pd.concat([data.train.x, data.validation.x, data.test.x])


def test_a_csv_becomes_a_split_and_typed_table(root):
    data = load(root)
    assert data.kind == "table"
    assert (len(data.train), len(data.validation), len(data.test)) == (42, 6, 12)
    assert data.classes == (0, 1)
    assert data.train.y.dtype == np.int64
    assert data.train.x.dtypes.astype(str).to_dict() == {
        "a": "int64",
        "b": "float64",
        "colour": "category",
    }
    assert list(data.frame["colour"].cat.categories) == ["blue", "red"]
    inspect(root)


@pytest.mark.parametrize(
    ("stratify", "task"),
    [(True, Task.CLASSIFICATION), (False, Task.CLASSIFICATION), (True, Task.REGRESSION)],
)
def test_rows_are_divided_as_two_calls_of_train_test_split_divide_them(root, stratify, task):
    data = load(root, task, Split(test_size=0.25, validation_size=0.2, stratify=stratify, seed=7))
    frame = pd.read_csv(root / "good.csv")
    by = (lambda part: part["y"]) if stratify and task is Task.CLASSIFICATION else lambda _: None
    rest, test = train_test_split(frame, test_size=0.25, random_state=7, stratify=by(frame))
    train, validation = train_test_split(
        rest, test_size=0.2 / (1 - 0.25), random_state=7, stratify=by(rest)
    )
    for part, plain in ((data.train, train), (data.validation, validation), (data.test, test)):
        assert part.x["a"].tolist() == plain["a"].tolist()
        assert part.y.tolist() == plain["y"].tolist()


def test_no_validation_part_is_made_when_none_is_asked_for(root):
    assert load(root, split=Split(validation_size=0.0)).validation is None


def test_a_seed_of_its_own_divides_otherwise_than_the_splits(root):
    other = loading.load(
        spec(), Split(seed=1), task=Task.CLASSIFICATION, access=access(root), seed=2
    )
    assert other.train.x["a"].tolist() == load(root, split=Split(seed=2)).train.x["a"].tolist()


def test_string_labels_become_sorted_classes(root):
    (root / "s.csv").write_text(
        "a,y\n" + "".join(f"{i},{('no', 'yes', 'maybe')[i % 3]}\n" for i in range(60))
    )
    data = load(root, uri="s.csv")
    assert data.classes == ("maybe", "no", "yes")
    assert [data.classes[each] for each in data.test.y] == [
        ("no", "yes", "maybe")[a % 3] for a in data.test.x["a"]
    ]


def test_boolean_labels_and_whole_floats_are_classes(root):
    pq.write_table(
        pa.table(
            {
                "a": range(40),
                "flag": [i % 2 == 0 for i in range(40)],
                "f": [float(i % 4) for i in range(40)],
            }
        ),
        root / "b.parquet",
    )
    assert load(root, uri="b.parquet", target="flag").classes == (False, True)
    assert load(root, uri="b.parquet", target="f").classes == (0, 1, 2, 3)


def test_categories_seen_outside_the_training_part_only_are_missing_there(root):
    (root / "c.csv").write_text("k,y\n" + "".join(f"k{i},{i % 2}\n" for i in range(20)))
    data = load(root, uri="c.csv")
    assert sorted(data.train.x["k"].cat.categories) == sorted(set(data.train.x["k"]))
    assert data.test.x["k"].isna().all()
    assert list(data.test.x["k"].cat.categories) == list(data.train.x["k"].cat.categories)


def test_missing_values_stay_missing_and_booleans_stay_usable(root):
    rows = "".join(
        f"{'' if i % 5 == 0 else i},{('true', 'false', '')[i % 3]},{str(i % 4 == 0).lower()},{'NA' if i % 7 == 0 else 'x'},{i % 2}\n"
        for i in range(60)
    )
    (root / "m.csv").write_text("i,b,full,s,y\n" + rows)
    frame = together(load(root, uri="m.csv"))
    assert frame.dtypes.astype(str).to_dict() == {
        "i": "float64",
        "b": "float64",
        "full": "bool",
        "s": "category",
    }
    assert (frame["i"].isna().sum(), frame["b"].isna().sum(), frame["s"].isna().sum()) == (
        12,
        20,
        9,
    )


def test_features_drop_categorical_and_weight_are_honoured(root):
    data = load(root, features=["colour", "a"], categorical=["a"], weight="b")
    assert list(data.train.x) == ["colour", "a"]
    assert isinstance(data.train.x["a"].dtype, pd.CategoricalDtype)
    assert data.test.weight.tolist() == [int(a) / 4 for a in _labels(root, data)]
    assert list(load(root, drop=["a"]).train.x) == ["b", "colour"]


def _labels(root: Path, data) -> list[int]:
    frame = pd.read_csv(root / "good.csv")
    _, test = train_test_split(frame, test_size=0.2, random_state=42, stratify=frame["y"])
    assert len(test) == len(data.test)
    return test["a"].tolist()


def test_a_separate_test_table_is_the_whole_test_part(root):
    (root / "test.csv").write_text("y,colour,a,b\n1,red,5,1\n0,green,6,\n")
    data = load(root, test_uri="test.csv")
    assert data.test.x["a"].tolist() == [5, 6]
    assert list(data.test.x) == ["a", "b", "colour"]
    assert data.test.x["colour"].isna().tolist() == [False, True]
    assert data.test.y.tolist() == [1, 0]
    assert (len(data.train), len(data.validation)) == (54, 6)
    inspect(root, test_uri="test.csv")


@pytest.mark.parametrize("test_uri", ["test.csv", "tests"])
def test_what_is_text_in_the_training_table_is_text_in_the_one_for_tests(root, test_uri):
    codes = [f"{number:02d}" for number in range(1, 20)]
    rows = [(code, f"c{code}", at % 2) for at, code in enumerate([*codes, "2A", "2B"] * 5)]
    table = pd.DataFrame(rows, columns=["dept", "k", "y"])
    table.assign(y=["x1" if y else "7" for y in table["y"]]).to_csv(root / "own.csv", index=False)
    (root / "tests").mkdir()
    tested = "dept,k,y\n" + "".join(f"{code},c{code},7\n" for code in codes)
    (root / "test.csv").write_text(tested)
    (root / "tests" / "1.csv").write_text(tested)
    (root / "tests" / "2.csv").write_text("dept,k,y\n04,c04,7\n")
    fields = {"uri": "own.csv", "test_uri": test_uri, "split": Split(stratify=False)}
    conditions = [{"column": "dept", "op": "!=", "value": "2B"}]
    inspect(root, uri="own.csv", test_uri=test_uri, filter=conditions)
    data = load(root, **fields, filter=conditions)
    assert data.test.x["dept"].tolist()[:19] == codes
    assert data.classes == ("7", "x1")


@pytest.mark.parametrize(
    ("content", "complaint", "at_submit"),
    [
        ("y,a,b\n1,2,3\n", "'colour' is not a column", True),
        (
            "a,b,colour,y\nred,1,red,1\nred,1,red,0\n",
            "the column 'a' is string in the test table",
            False,
        ),
        ("a,b,colour,y\n1,1,red,7\n2,1,red,0\n", "class 7 occurs in the test table only", False),
        ("a,b,colour,y\n1,1,red,\n2,1,red,0\n", "missing in 1 of 2 rows", True),
        ("a,b,colour,y\n", "a header and no rows", True),
    ],
)
def test_a_test_table_that_does_not_fit_is_refused(root, content, complaint, at_submit):
    (root / "test.csv").write_text(content)
    assert complaint in refused(
        root, test_uri="test.csv", pointer="/data/test_uri", at_submit=at_submit
    )


def test_gzipped_csv_parquet_and_a_partitioned_folder_give_the_same_rows(root):
    (root / "good.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    table = pa.Table.from_pandas(pd.read_csv(root / "good.csv"))
    pq.write_table(table, root / "good.parquet")
    pq.write_to_dataset(table, root / "folder", partition_cols=["colour"])
    plain, packed, parquet, folder = (
        load(root, uri=uri) for uri in ("good.csv", "good.csv.gz", "good.parquet", "folder")
    )
    for uri in ("good.csv.gz", "good.parquet", "folder"):
        inspect(root, uri=uri)
    pd.testing.assert_frame_equal(plain.train.x, packed.train.x)
    pd.testing.assert_frame_equal(plain.train.x, parquet.train.x)
    assert plain.digest == packed.digest == parquet.digest
    assert sorted(together(folder)["a"]) == list(range(60))
    assert list(folder.frame["colour"].cat.categories) == ["blue", "red"]


def test_dictionaries_decimals_and_half_floats_in_parquet_are_read(root):
    table = pa.table(
        {
            "d": pa.array([("x", "y")[i % 2] for i in range(40)]).dictionary_encode(),
            "m": pa.array(range(40)).cast(pa.decimal128(30, 2)),
            "h": pa.array(np.arange(40, dtype=np.float16)),
            "t": pa.array([i % 2 for i in range(40)]),
        }
    )
    pq.write_table(table, root / "t.parquet")
    data = load(root, uri="t.parquet", target="t")
    assert data.frame.dtypes.astype(str).to_dict() == {
        "d": "category",
        "m": "float64",
        "h": "float32",
    }


def test_a_column_whose_type_changes_after_the_first_block_is_read_whole(root):
    rows = [f"{i},{i % 2}" for i in range(700_000)] + ["2.5,1", "late,0"]
    (root / "long.csv").write_text("a,y\n" + "\n".join(rows) + "\n")
    data = load(root, uri="long.csv", split=Split(validation_size=0.0))
    values = np.sort(np.concatenate([data.train.x["a"], data.test.x["a"]]))
    assert values[:4].tolist() == [0, 1, 2, 2.5]
    assert np.isnan(values[-1])
    assert len(values) == 700_002
    assert "'late' counts as missing, in 1 of 700002 rows" in data.warnings[0]


def test_quoted_newlines_and_a_nameless_column_are_read_as_pandas_reads_them(root):
    (root / "q.csv").write_text(
        "\ufeff,s,y\n" + "".join(f'{i},"two\nlines",{i % 2}\n' for i in range(20)), encoding="utf-8"
    )
    data = load(root, uri="q.csv", features=["Unnamed: 0", "s"])
    assert list(data.frame) == list(pd.read_csv(root / "q.csv"))[:2]
    assert list(data.frame["s"].cat.categories) == ["two\nlines"]


def test_the_digest_follows_the_content_and_not_the_split(root):
    first = load(root).digest
    assert load(root, split=Split(seed=1)).digest == first
    (root / "good.csv").write_text(GOOD.replace("59,14.75", "59,14.5"))
    assert load(root).digest != first


def test_the_profile_says_what_the_data_is_and_is_json(root):
    profile = json.loads(json.dumps(load(root).profile, allow_nan=False))
    sketches = profile.pop("sketches")
    assert profile.pop("csv")["delimiter"] == ","
    assert sketches["columns"].keys() == profile["columns"].keys()
    assert sketches["target"]["counts"] == profile["classes"]
    assert profile == {
        "rows": 60,
        "parts": {"train": 42, "validation": 6, "test": 12},
        "classes": {"0": 30, "1": 30},
        "columns": {"a": "int64", "b": "float64", "colour": "category"},
        "warnings": [
            "all 60 values of the column 'a' differ, as identifiers do, which say nothing about new rows; drop it, unless its values have a meaning"
        ],
    }
    assert load(root, Task.REGRESSION, target="b").profile["target"] == {
        "min": 0.0,
        "mean": 7.375,
        "max": 14.75,
    }


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        ("a,y\n", "a header and no rows"),
        ("a,y\n1,0\n2\n3,1\n", "Expected 2 columns, got 1"),
        ("a,a,y\n1,2,0\n", "the column 'a' occurs 2 times"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-30], "cannot be read"),
    ],
)
def test_a_broken_csv_is_refused_at_submit(root, content, complaint):
    assert complaint in refused(root, content)


def test_text_that_is_not_utf8_is_named(root):
    assert "'s' holds bytes that are not UTF-8" in refused(
        root,
        ("s,y\n" + "é,0\nb,1\n" * 20).encode("latin-1"),
        pointer="/data/drop",
        csv={"encoding": "utf-8"},
    )


def test_a_file_that_is_not_parquet_is_refused(root):
    assert "not a readable Parquet" in refused(root, "no parquet", name="bad.parquet")
    assert "not a readable Parquet" in refused(
        root, GOOD, name="x.csv", uri="x.csv", format="parquet"
    )


def test_a_folder_without_parquet_and_an_unknown_ending_are_refused(root):
    (root / "empty").mkdir()
    assert "holds no .parquet" in refused(root, uri="empty")
    assert "say which it is" in refused(root, "a,y\n", name="table.dat", pointer="/data/format")


@pytest.mark.parametrize(
    ("content", "task", "complaint"),
    [
        ("a,y\n1,0\n2,0\n", "classification", "one class only, 0"),
        ("a,y\n1,0\n2,\n3,1\n", "classification", "missing in 1 of 3 rows"),
        ("a,y\n1,0.5\n2,1\n", "classification", "continuous numbers such as 0.5"),
        (
            "a,y\n" + "".join(f"{i},{i}\n" for i in range(1001)),
            "classification",
            "1001 distinct values",
        ),
        ("a,y\n1,red\n2,blue\n", "regression", "strings such as 'red'"),
        ("a,y\n1,inf\n2,1.5\n", "regression", "infinite in 1 rows"),
        ("a,y\n1,2026-01-01\n2,2026-01-02\n", "classification", "holds dates"),
    ],
)
def test_a_target_that_does_not_fit_is_refused_at_submit(root, content, task, complaint):
    assert complaint in refused(root, content, task=Task(task), pointer="/data/target")


def test_a_column_without_a_value_is_left_out_and_refused_where_it_is_asked_for(root):
    (root / "void.csv").write_text("a,void,y\n" + "1,,0\n2,NA,1\n" * 20)
    inspect(root, uri="void.csv")
    data = load(root, uri="void.csv")
    assert list(data.frame.columns) == ["a"]
    assert "every value of the column 'void' is missing, so it is left out" in data.warnings
    asked = {"uri": "void.csv", "features": ["a", "void"]}
    complaint = refused(root, pointer="/data/features/1", **asked)
    assert "every value of the column 'void' is missing" in complaint
    (root / "voids.csv").write_text("void,y\n" + ",0\n,1\n" * 20)
    with pytest.raises(InvalidData, match="no columns are left"):
        load(root, uri="voids.csv")


def test_infinite_features_and_nested_ones_are_refused(root):
    rows = "a,b,y\n" + "".join(f"{'inf' if i == 3 else i / 2},{i},{i % 2}\n" for i in range(20))
    assert "'a' is infinite in 1 rows" in refused(root, rows, pointer="/data/drop", at_submit=False)
    pq.write_table(
        pa.table({"l": [[i] for i in range(20)], "y": [i % 2 for i in range(20)]}),
        root / "n.parquet",
    )
    assert "type list" in refused(root, uri="n.parquet", pointer="/data/drop")


@pytest.mark.parametrize("values", [["-1", "1"], ["", "1"], ["x", "1"], ["inf", "1"]])
def test_weights_that_are_not_finite_and_positive_are_refused(root, values):
    rows = "a,w,y\n" + "".join(f"{i},{values[i % 2]},{i % 2}\n" for i in range(20))
    assert "the weight 'w'" in refused(root, rows, weight="w", pointer="/data/weight")


@pytest.mark.parametrize(
    ("fields", "pointer", "complaint"),
    [
        ({"target": "Y"}, "/data/target", "'Y' is not a column"),
        ({"target": "color"}, "/data/target", "did you mean 'colour'?"),
        ({"weight": "w"}, "/data/weight", "'w' is not a column"),
        ({"weight": "y"}, "/data/weight", "is the target"),
        ({"features": ["a", "b", "colours"]}, "/data/features/2", "did you mean 'colour'?"),
        ({"features": ["a", "y"]}, "/data/features/1", "is the target"),
        ({"features": ["a", "b"], "drop": ["b"]}, "/data/features/1", "is in drop"),
        ({"features": ["a", "a"]}, "/data/features/1", "listed twice"),
        ({"features": ["a", "b"], "weight": "b"}, "/data/features/1", "is the weight"),
        ({"drop": ["a", "z"]}, "/data/drop/1", "'z' is not a column"),
        ({"drop": ["y"]}, "/data/drop/0", "is the target"),
        ({"drop": ["a", "b", "colour"]}, "/data/drop", "no columns are left"),
        ({"categorical": ["z"]}, "/data/categorical/0", "'z' is not a column"),
        (
            {"features": ["a"], "categorical": ["b"]},
            "/data/categorical/0",
            "not one of the features",
        ),
    ],
)
def test_a_name_that_cannot_be_right_is_refused_at_submit(root, fields, pointer, complaint):
    assert complaint in refused(root, pointer=pointer, **fields)


@pytest.mark.parametrize(
    ("rare", "said", "cure"),
    [
        (1, "class 'rare' has 1 row, and", "or leave it out"),
        (
            2,
            "class 'rare' has 2 rows, of which 1 is left to divide, and",
            "or set split.stratify to false",
        ),
    ],
)
def test_a_class_too_small_to_stratify_is_named_with_its_rows_and_a_cure_that_helps(
    root, rare, said, cure
):
    rows = "a,y\n" + "".join(
        f"{i},{'rare' if i < rare else 'often' if i % 2 else 'also'}\n" for i in range(40)
    )
    split = Split(test_size=0.5)
    complaint = refused(root, rows, pointer="/split/stratify", at_submit=False, split=split)
    assert complaint.startswith(said)
    assert complaint.endswith(cure)


def test_too_few_rows_for_the_split_are_refused(root):
    assert "cannot be divided" in refused(
        root, "a,y\n1,0\n2,1\n3,0\n4,1\n", pointer="/split", at_submit=False
    )


def test_tables_are_refused_for_a_model_of_images(root):
    with pytest.raises(InvalidData, match="takes images") as error:
        loading.inspect(
            spec(), task=Task.CLASSIFICATION, kinds=("images",), access=access(root), split=Split()
        )
    assert error.value.pointer == "/data/source"


def test_inspecting_reads_the_head_of_a_large_table_alone(root):
    (root / "huge.csv").write_text("a,y\n" + "1,0\n2,1\n" * 200_000 + "broken\n")
    inspect(root, uri="huge.csv")
    assert "Expected 2 columns" in refused(root, uri="huge.csv", at_submit=False)


@settings(max_examples=examples(25))
@given(
    values=st.lists(
        st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(-(2**53), 2**53)),
        min_size=20,
        max_size=60,
    ),
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=4),
        min_size=60,
        max_size=60,
    ),
)
def test_whatever_a_parquet_file_holds_comes_back_at_its_row(tmp_path, values, texts):
    frame = pd.DataFrame(
        {
            "n": np.array(values, dtype=float),
            "s": texts[: len(values)],
            "row": range(len(values)),
            "y": [i % 2 for i in range(len(values))],
        }
    )
    frame.loc[0, "n"] = 0.0
    frame.to_parquet(tmp_path / "any.parquet")
    data = load(tmp_path, uri="any.parquet", split=Split(test_size=0.2, validation_size=0.2))
    seen = set(data.train.x["s"])
    for part in (data.train, data.validation, data.test):
        for number, text, row in zip(part.x["n"], part.x["s"], part.x["row"], strict=True):
            assert number == frame["n"][row] or (math.isnan(number) and math.isnan(frame["n"][row]))
            assert text == frame["s"][row] if frame["s"][row] in seen else pd.isna(text)


@needs_real_tables
@pytest.mark.parametrize(
    ("uri", "target", "task", "rows"),
    [
        ("tabular/bank_marketing.csv", "y", Task.CLASSIFICATION, 45211),
        ("tabular/bike_sharing_hourly.csv", "cnt", Task.REGRESSION, 17379),
    ],
)
def test_real_tables_are_divided_as_a_plain_script_divides_them(uri, target, task, rows):
    root = Path(REAL or "")
    inspect(root, task, uri=uri, target=target)
    data = load(root, task, uri=uri, target=target)
    frame = pd.read_csv(root / uri)
    assert data.profile["rows"] == rows == len(frame)
    rest, test = train_test_split(
        frame,
        test_size=0.2,
        random_state=42,
        stratify=frame[target] if task is Task.CLASSIFICATION else None,
    )
    assert (
        data.test.x.astype(object).to_numpy() == test.drop(columns=target).to_numpy(dtype=object)
    ).all()
    assert (data.test.y == test[target].to_numpy()).all()
    assert len(data.train) + len(data.validation) == len(rest)
