"""Values that a model cannot take are refused with column, value and cure; nothing crashes on them."""

import contextlib
from decimal import Decimal
from pathlib import Path

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

DOUBLE_MAX = float(np.finfo(np.float64).max)


def table(root: Path, **columns) -> None:
    pq.write_table(pa.table(columns), root / "x.parquet")


def spec(uri: str = "x.parquet", **fields) -> FileData:
    return FileData(source="file", uri=uri, target="y", **fields)


def load(root: Path, asked: FileData, task=Task.CLASSIFICATION):
    return loading.load(asked, Split(), task=task, access=DataAccess((root,), root))


def inspect(root: Path, asked: FileData, task=Task.CLASSIFICATION) -> None:
    loading.inspect(
        asked, task=task, kinds=("table",), access=DataAccess((root,), root), split=Split()
    )


def refused(
    root: Path,
    pointer: str,
    asked: FileData | None = None,
    *,
    at_submit=True,
    task="classification",
) -> str:
    asked = asked or spec()
    with pytest.raises(InvalidData) as error:
        load(root, asked, Task(task))
    assert error.value.pointer == pointer
    if at_submit:
        with pytest.raises(InvalidData) as submitted:
            inspect(root, asked, Task(task))
        assert submitted.value.pointer == pointer
    return error.value.detail


LABELS = [i % 2 for i in range(40)]


def test_a_column_without_a_name_is_refused_by_its_position_unless_it_is_not_used(tmp_path):
    table(tmp_path, **{"a": range(40), "": range(40), "y": LABELS})
    assert "column 2 of 3 has no name" in refused(tmp_path, "/data/uri")
    assert list(load(tmp_path, spec(features=["a"])).train.x) == ["a"]


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([1.2345678901234568e22, 0.0] * 20),
        pa.array([-1e300, 0.0] * 20),
        pa.array([2**53 + 2.0, 0.0] * 20),
        pa.array([2**64 - 1, 0] * 20, pa.uint64()),
        pa.array([10**30, 0] * 20, pa.decimal128(38)),
    ],
)
def test_class_labels_that_no_integer_holds_are_refused_with_a_cure(tmp_path, labels):
    table(tmp_path, a=range(40), y=labels)
    complaint = refused(tmp_path, "/data/target")
    assert "the target 'y' holds the class label" in complaint
    assert "so that they are text" in complaint


def test_class_labels_of_23_digits_in_csv_are_refused_and_of_18_are_kept(tmp_path):
    rows = "a,y\n" + "".join(f"{i},1234567890123456789012{i % 2}\n" for i in range(40))
    (tmp_path / "long.csv").write_text(rows)
    assert "class label 1.2345678901234568e+22" in refused(
        tmp_path, "/data/target", spec("long.csv")
    )
    table(tmp_path, a=range(40), y=pa.array([10**17 + i % 2 for i in range(40)]))
    assert load(tmp_path, spec()).classes == (10**17, 10**17 + 1)


@pytest.mark.parametrize("value", [DOUBLE_MAX, -DOUBLE_MAX, 3.5e38])
def test_a_number_beyond_float32_is_refused_with_column_value_and_cure(tmp_path, value):
    table(tmp_path, a=[value, *range(1, 40)], y=LABELS)
    complaint = refused(tmp_path, "/data/drop", at_submit=False)
    assert f"the column 'a' is {value!r} in one of 1 such rows" in complaint
    assert "leave those rows out" in complaint
    table(tmp_path, a=range(40), y=[value, *map(float, range(1, 40))])
    assert f"the target 'y' is {value!r}" in refused(tmp_path, "/data/target", task="regression")
    table(tmp_path, a=range(40), w=[abs(value), *map(float, range(1, 40))], y=LABELS)
    assert "the weight 'w' is" in refused(tmp_path, "/data/weight", spec(weight="w"))


def test_an_infinite_category_is_refused_as_an_infinite_number_is(tmp_path):
    table(tmp_path, a=[np.inf, *map(float, range(39))], y=LABELS)
    for asked in (spec(), spec(categorical=["a"])):
        complaint = refused(tmp_path, "/data/drop", asked, at_submit=False)
        assert "the column 'a' is infinite in 1 rows" in complaint


@pytest.mark.parametrize("microseconds", [-(2**62), 2**61, 253_402_300_800_000_000])
def test_a_time_beyond_the_calendar_is_refused_however_far(tmp_path, microseconds):
    table(tmp_path, a=pa.array([microseconds, *range(39)], pa.timestamp("us")), y=LABELS)
    complaint = refused(tmp_path, "/data/columns/a", at_submit=False)
    assert "the column 'a' holds times outside the years 1 to 9999" in complaint


@pytest.mark.parametrize(
    "value",
    [
        pa.scalar(2**53 + 1),
        pa.scalar(-(2**63)),
        pa.scalar(2**64 - 1, pa.uint64()),
        pa.scalar(Decimal(2**60 + 1), pa.decimal128(38)),
        pa.scalar(Decimal(10**60), pa.decimal256(76)),
    ],
    ids=str,
)
def test_integers_beyond_2_to_the_53_are_refused_with_column_value_and_cure(tmp_path, value):
    numbers = pa.array([value.as_py(), *range(39)], value.type)
    table(tmp_path, a=numbers, y=LABELS)
    for asked in (spec(), spec(categorical=["a"])):
        complaint = refused(tmp_path, "/data/drop", asked, at_submit=False)
        assert f"the column 'a' holds {value}, and" in complaint
        assert "drop it if it is an identifier" in complaint
    table(tmp_path, a=range(40), y=numbers)
    complaint = refused(tmp_path, "/data/target", task="regression")
    assert f"the target 'y' holds {value}, and" in complaint
    table(tmp_path, a=[2**53, -(2**53), *range(38)], y=LABELS)
    assert load(tmp_path, spec()).profile["rows"] == 40


def test_what_json_and_bytes_of_booleans_are_marked_as_is_what_they_hold(tmp_path):
    doc = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}', "{}"] * 20))
    flag = pa.ExtensionArray.from_storage(pa.bool8(), pa.array(LABELS, pa.int8()))
    table(tmp_path, doc=doc, flag=flag, y=flag)
    inspect(tmp_path, spec())
    data = load(tmp_path, spec())
    assert list(data.train.x["doc"].cat.categories) == ['{"a":1}', "{}"]
    assert (str(data.train.x["flag"].dtype), data.classes) == ("bool", (False, True))


def test_a_target_of_no_use_is_to_be_another_and_is_not_to_be_dropped(tmp_path):
    table(tmp_path, a=range(40), y=[[each] for each in LABELS])
    complaint = refused(tmp_path, "/data/target")
    assert "name another target" in complaint
    assert "drop it" not in complaint


def test_a_target_of_durations_is_said_to_be_read_as_seconds(tmp_path):
    table(tmp_path, a=range(40), y=pa.array(range(40), pa.duration("s")))
    said = load(tmp_path, spec(), Task.REGRESSION).warnings
    assert "the column 'y' holds durations, and is read as seconds" in said


def test_the_largest_number_of_float32_is_taken(tmp_path):
    largest = float(np.finfo(np.float32).max)
    table(tmp_path, a=[largest, -largest, *range(2, 40)], y=LABELS)
    assert load(tmp_path, spec()).profile["rows"] == 40


def test_weights_that_are_all_zero_are_refused_at_submit_too_where_all_rows_are_seen(tmp_path):
    table(tmp_path, a=range(40), w=[0.0] * 40, y=LABELS)
    complaint = refused(tmp_path, "/data/weight", spec(weight="w"))
    assert "the weight 'w' is 0 in all" in complaint


def test_weights_that_are_zero_in_one_part_are_refused_by_the_parts_name(tmp_path):
    table(tmp_path, a=range(40), w=[1.0] * 40, y=LABELS)
    held_out = set(load(tmp_path, spec(drop=["w"])).test.x["a"])
    table(tmp_path, a=range(40), w=[0.0 if i in held_out else 1.0 for i in range(40)], y=LABELS)
    assert "0 in all 8 rows of the test part" in refused(
        tmp_path, "/data/weight", spec(weight="w"), at_submit=False
    )


def test_a_class_that_weighs_nothing_in_training_is_refused_by_its_name(tmp_path):
    names = ["rain" if each else "sun" for each in LABELS]
    table(tmp_path, a=range(40), w=[float(each) for each in LABELS], y=names)
    assert "in all rows of class 'sun' in the training part" in refused(
        tmp_path, "/data/weight", spec(weight="w"), at_submit=False
    )


NUMBERS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(2**63), 2**63 - 1).map(float),
    st.sampled_from([0.0, 1.0, DOUBLE_MAX, 2.0**53, 2.0**63]),
)


@settings(max_examples=examples(60))
@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=40),
    task=st.sampled_from(Task),
    weight=st.sampled_from([None, "w"]),
)
def test_any_numbers_are_loaded_or_refused_and_never_crash(tmp_path, rows, task, weight):
    columns = list(zip(*rows, strict=True)) or [[], [], []]
    table(
        tmp_path,
        **{
            name: pa.array(values, pa.float64())
            for name, values in zip("awy", columns, strict=True)
        },
    )
    for look in (inspect, load):
        with contextlib.suppress(InvalidData):
            look(tmp_path, spec(weight=weight), task)
