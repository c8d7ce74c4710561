"""Tables whose rows are divided by a column: what is read, from which types, and what is refused."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from pyarrow import csv
from sklearn.model_selection import GroupShuffleSplit
from trainyard.contract import BuiltinData, FileData, ImageData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.splitting import described
from trainyard.errors import InvalidData

DAYS = [date(2024, 1, 1) + timedelta(days=each) for each in range(20)]
MIDNIGHT = datetime.combine(DAYS[0], time())
BY_TIME = Split(by="time", column="when")
BY_GROUP = Split(by="group", column="when")
BY_COLUMN = Split(by="column", column="when")
FORMATS = ["csv", "parquet"]


def table_of(when, **others) -> pa.Table:
    """A table of such a column; `row` numbers the rows, and `y` is 0, 1, 0, 1, …"""
    rows = len(when)
    return pa.table(
        {"row": range(rows), "when": when, "y": [each % 2 for each in range(rows)]} | others
    )


def write(table: pa.Table, path: Path) -> str:
    if path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path.name


def spec(uri: str, **others) -> FileData:
    return FileData(source="file", uri=uri, target="y", **others)


def load(root: Path, uri: str, split: Split = BY_TIME, task=Task.CLASSIFICATION, **others):
    access = DataAccess((root,), root)
    asked = spec(uri, **others)
    loading.inspect(asked, task=task, kinds=("table",), access=access, split=split)
    return loading.load(asked, split, task=task, access=access)


def refused(  # noqa: PLR0913 - what is asked, and what must come of it
    root: Path,
    table: pa.Table,
    split: Split = BY_TIME,
    *,
    pointer="/split/column",
    at_submit=True,
    name="bad.parquet",
    **others,
) -> str:
    """The complaint of the run, which the submit has as well unless told otherwise."""
    asked = spec(write(table, root / name), **others)
    access = DataAccess((root,), root)
    fields = {"task": Task.CLASSIFICATION, "access": access}
    with pytest.raises(InvalidData) as in_the_run:
        loading.load(asked, split, **fields)
    assert in_the_run.value.pointer == pointer
    if at_submit:
        with pytest.raises(InvalidData) as submitted:
            loading.inspect(asked, split=split, kinds=("table",), **fields)
        assert submitted.value.pointer == pointer
    else:
        loading.inspect(asked, split=split, kinds=("table",), **fields)
    return in_the_run.value.detail


def rows_of(data) -> dict[str, list[int]]:
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: part.x["row"].tolist() for name, part in parts.items() if part is not None}


OLDEST_TO_NEWEST = {
    "train": list(range(14)),
    "validation": [14, 15],
    "test": [16, 17, 18, 19],
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    ("when", "first", "last"),
    [
        (DAYS, "2024-01-17", "2024-01-20"),
        (
            [MIDNIGHT + timedelta(hours=each) for each in range(20)],
            "2024-01-01T16:00:00",
            "2024-01-01T19:00:00",
        ),
        (
            [MIDNIGHT.replace(tzinfo=UTC) + timedelta(hours=each) for each in range(20)],
            "2024-01-01T16:00:00+00:00",
            "2024-01-01T19:00:00+00:00",
        ),
        (list(range(100, 120)), 116, 119),
        ([each / 2 for each in range(20)], 8.0, 9.5),
    ],
    ids=["dates", "timestamps", "timestamps with a zone", "integers", "floats"],
)
def test_the_newest_rows_are_the_test_and_the_profile_says_from_when(
    tmp_path, when, first, last, ending
):
    data = load(tmp_path, write(table_of(when), tmp_path / f"t.{ending}"))
    assert rows_of(data) == OLDEST_TO_NEWEST
    assert list(data.frame.columns) == ["row"]
    assert data.profile["parts"] == {"train": 14, "validation": 2, "test": 4}
    said = json.loads(json.dumps(data.profile["split"]))
    assert (said["by"], said["column"]) == ("time", "when")
    assert (said["test_from"], said["test_until"]) == (first, last)
    assert said["train_until"] < said["validation_from"] <= said["validation_until"] < first


@pytest.mark.parametrize(
    ("kind", "day"),
    [
        (pa.date32(), "2024-01-17"),
        (pa.date64(), "2024-01-17"),
        (pa.timestamp("s"), "2024-01-17T00:00:00"),
        (pa.timestamp("ms"), "2024-01-17T00:00:00"),
        (pa.timestamp("ns"), "2024-01-17T00:00:00"),
        (pa.timestamp("ns", "Europe/Berlin"), "2024-01-17T00:00:00+00:00"),
        (pa.dictionary(pa.int8(), pa.string()), "2024-01-17T00:00:00"),
        (pa.string(), "2024-01-17T00:00:00"),
        (pa.large_string(), "2024-01-17T00:00:00"),
        (pa.string_view(), "2024-01-17T00:00:00"),
    ],
    ids=str,
)
def test_times_of_every_type_of_parquet_are_read(tmp_path, kind, day):
    days = pa.array(DAYS)
    if pa.types.is_dictionary(kind):
        days = days.cast(pa.string()).dictionary_encode()
    elif pa.types.is_string_view(kind):
        days = days.cast(pa.string()).cast(kind)
    else:
        days = days.cast(kind)
    data = load(tmp_path, write(table_of(days), tmp_path / "t.parquet"))
    assert rows_of(data) == OLDEST_TO_NEWEST
    assert data.profile["split"]["test_from"] == day
    assert described(data.profile["split"]).startswith("tested on the newest rows, 2024-01-17")


@pytest.mark.parametrize(
    "values", [np.arange(20, dtype=np.uint64) + 2**63, [Decimal(each) for each in range(20)]]
)
def test_large_and_decimal_numbers_have_an_order_too(tmp_path, values):
    data = load(tmp_path, write(table_of(values), tmp_path / "t.parquet"))
    assert rows_of(data) == OLDEST_TO_NEWEST


def test_nanoseconds_are_cut_to_microseconds(tmp_path):
    when = pa.array([each * 1500 + 1 for each in range(20)], pa.timestamp("ns"))
    data = load(tmp_path, write(table_of(when), tmp_path / "t.parquet"))
    assert rows_of(data) == OLDEST_TO_NEWEST
    assert data.profile["split"]["test_from"] == "1970-01-01T00:00:00.000024"


def test_texts_with_a_zone_in_each_are_times_in_utc(tmp_path):
    when = [f"2024-01-01T{hour:02}:30:00+02:00" for hour in range(20)]
    data = load(tmp_path, write(table_of(pa.array(when)), tmp_path / "t.parquet"))
    assert rows_of(data) == OLDEST_TO_NEWEST
    assert data.profile["split"]["test_from"] == "2024-01-01T14:30:00+00:00"


def test_fractions_of_a_second_have_their_order_in_a_csv(tmp_path):
    when = [f"2024-01-01T08:00:00.{each:09}" for each in range(0, 20_000, 1000)]
    (tmp_path / "t.csv").write_text(
        "row,when,y\n" + "".join(f"{row},{each},{row % 2}\n" for row, each in enumerate(when))
    )
    data = load(tmp_path, "t.csv")
    assert rows_of(data) == OLDEST_TO_NEWEST
    assert data.profile["split"]["test_from"] == "2024-01-01T08:00:00.000016"


@settings(max_examples=examples(40))
@given(
    days=st.lists(st.sampled_from(DAYS), min_size=12, max_size=60).filter(
        lambda days: len(set(days)) >= 8
    ),
    ending=st.sampled_from(FORMATS),
)
def test_no_row_of_the_future_trains_in_a_table_of_any_order(tmp_path, days, ending):
    uri = write(table_of(days), tmp_path / f"any.{ending}")
    data = load(tmp_path, uri, task=Task.REGRESSION)
    parts = [[days[row] for row in rows] for rows in rows_of(data).values()]
    for older, newer in pairwise(parts):
        assert max(older) < min(newer)
    assert sum(map(len, parts)) == len(days)
    said = data.profile["split"]
    assert said["train_until"] == max(parts[0]).isoformat()
    assert said["test_from"] == min(parts[-1]).isoformat()


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "groups",
    [
        [f"customer {each % 10}" for each in range(60)],
        [each % 10 for each in range(60)],
        [DAYS[each % 10] for each in range(60)],
    ],
    ids=["texts", "integers", "dates"],
)
def test_no_group_is_in_two_parts_of_a_table(tmp_path, groups, ending):
    data = load(
        tmp_path, write(table_of(groups), tmp_path / f"t.{ending}"), BY_GROUP, Task.REGRESSION
    )
    parts = [{groups[row] for row in rows} for rows in rows_of(data).values()]
    assert [len(each) for each in parts] == [7, 1, 2]
    assert set.union(*parts) == set(groups)
    assert sum(map(len, rows_of(data).values())) == 60
    said = data.profile["split"]
    assert said == {
        "by": "group",
        "column": "when",
        "groups": {"train": 7, "validation": 1, "test": 2},
    }


def test_groups_are_those_of_scikit_learn_whatever_the_order_of_the_rows(tmp_path):
    groups = np.random.default_rng(1).permutation([f"customer {each % 10}" for each in range(60)])
    shuffled = GroupShuffleSplit(1, test_size=0.2, random_state=42)
    _, test = next(shuffled.split(groups, groups=groups))
    data = load(tmp_path, write(table_of(groups), tmp_path / "t.parquet"), BY_GROUP)
    assert rows_of(data)["test"] == test.tolist()


WORDS = ["train", "validation", "train", "test"] * 5


@pytest.mark.parametrize("ending", FORMATS)
def test_the_table_says_which_rows_train_validate_and_test(tmp_path, ending):
    words = ["train", "train", "validation", "validation", "test"] * 4
    data = load(tmp_path, write(table_of(words), tmp_path / f"t.{ending}"), BY_COLUMN)
    assert rows_of(data) == {
        part: [row for row, word in enumerate(words) if word == part]
        for part in ("train", "validation", "test")
    }
    assert data.profile["split"] == {
        "by": "column",
        "column": "when",
        "rows": {"train": 8, "validation": 8, "test": 4},
    }


def test_a_table_may_have_no_validation_rows(tmp_path):
    words = ["train", "train", "test"] * 4
    data = load(tmp_path, write(table_of(words), tmp_path / "t.csv"), BY_COLUMN)
    assert data.validation is None
    assert data.profile["split"]["rows"] == {"train": 8, "test": 4}


def test_the_column_is_a_feature_where_features_names_it(tmp_path):
    uri = write(table_of(list(range(20))), tmp_path / "t.csv")
    assert list(load(tmp_path, uri, features=["when", "row"]).frame.columns) == ["when", "row"]
    assert list(load(tmp_path, uri, drop=["when"]).frame.columns) == ["row"]


def test_a_table_at_random_has_the_profile_and_the_digest_that_it_had(tmp_path):
    data = load(tmp_path, write(table_of(list(range(20))), tmp_path / "t.csv"), Split())
    assert "split" not in data.profile
    assert data.digest == "cef514f1c09392428a0ca5f8c17f9c43a89ae39d46da8a7633ba2b1c375b0e3d"


def test_tables_that_differ_in_what_divides_them_have_different_digests(tmp_path):
    one = load(tmp_path, write(table_of(DAYS), tmp_path / "one.csv"))
    other = load(tmp_path, write(table_of(DAYS[::-1]), tmp_path / "other.csv"))
    same = load(tmp_path, write(table_of(DAYS), tmp_path / "same.parquet"))
    assert one.digest == same.digest != other.digest


def test_a_separate_test_table_follows_in_time(tmp_path):
    uri = write(table_of(DAYS[:10]), tmp_path / "t.csv")
    later = [MIDNIGHT + timedelta(days=31 + each) for each in range(4)]
    test_uri = write(table_of(later), tmp_path / "later.parquet")
    data = load(tmp_path, uri, test_uri=test_uri)
    assert rows_of(data) == {"train": list(range(9)), "validation": [9], "test": [0, 1, 2, 3]}
    said = data.profile["split"]
    assert (said["validation_until"], said["test_from"]) == (
        "2024-01-10T00:00:00",
        "2024-02-01T00:00:00",
    )


@pytest.mark.parametrize(
    ("split", "when", "words"),
    [
        (
            BY_TIME,
            DAYS[9:12],
            "begins at 2024-01-10 of 'when', and the training table ends at 2024-01-10",
        ),
        (BY_TIME, [1, 2, 3], "holds numbers in the test table, and times without a zone"),
        (
            BY_GROUP,
            DAYS[9:12],
            "1 group(s) of 'when', such as '2024-01-10', are in the test table and",
        ),
        (
            BY_GROUP,
            ["x", "y", "z"],
            "'when' is string in the test table, and date32[day] in the training",
        ),
        (BY_TIME, [None, *DAYS[10:12]], "'when' is missing in 1 of 3 rows"),
    ],
)
def test_a_test_table_that_does_not_follow_is_refused(tmp_path, split, when, words):
    test_uri = write(table_of(when), tmp_path / "test.parquet")
    said = refused(
        tmp_path,
        table_of(DAYS[:10]),
        split,
        pointer="/data/test_uri",
        at_submit=False,
        test_uri=test_uri,
    )
    assert words in said


def test_a_test_table_without_the_column_is_refused_at_submit(tmp_path):
    test_uri = write(table_of(DAYS).drop_columns("when"), tmp_path / "test.parquet")
    said = refused(tmp_path, table_of(DAYS), pointer="/data/test_uri", test_uri=test_uri)
    assert "'when' is not a column" in said


def test_by_column_all_rows_of_a_test_table_are_test_rows(tmp_path):
    test_uri = write(table_of(DAYS[:4]).drop_columns("when"), tmp_path / "test.parquet")
    uri = write(table_of(["train", "train", "validation", "train"] * 3), tmp_path / "t.csv")
    data = load(tmp_path, uri, BY_COLUMN, test_uri=test_uri)
    assert data.profile["split"]["rows"] == {"train": 9, "validation": 3, "test": 4}
    marked = table_of(["train", "train", "test"] * 4)
    said = refused(
        tmp_path, marked, BY_COLUMN, pointer="/data/test_uri", at_submit=False, test_uri=test_uri
    )
    assert "4 row(s) of 'when' are 'test', and the test rows are those of test_uri" in said


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d %b %Y", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M:%SZ"])
def test_times_that_are_recognised_as_features_divide_rows_too(tmp_path, form):
    data = load(tmp_path, write(table_of([day.strftime(form) for day in DAYS]), tmp_path / "t.csv"))
    assert rows_of(data) == OLDEST_TO_NEWEST
    assert data.profile["split"]["train_from"].startswith("2024-01-01")


def test_months_divide_rows(tmp_path):
    months = [f"{2022 + row // 12}-{row % 12 + 1:02}" for row in range(20)]
    data = load(tmp_path, write(table_of(months), tmp_path / "t.csv"))
    assert rows_of(data) == OLDEST_TO_NEWEST


def test_day_or_month_may_be_told_by_rows_that_the_submit_has_not_seen(tmp_path):
    """The first 10,000 rows of a Parquet table have no day above 12."""
    days = ["01/02/2024"] * 5_500 + ["02/02/2024"] * 5_500 + ["31/03/2024"] * 4_000
    data = load(tmp_path, write(table_of(days), tmp_path / "t.parquet"))
    assert data.profile["split"]["test_until"].startswith("2024-03-31")


@pytest.mark.parametrize("name", ["bad.csv", "bad.parquet"])
@pytest.mark.parametrize(
    ("split", "when"),
    [
        (BY_TIME, [*DAYS[:18], None, None]),
        (BY_GROUP, [*map(str, range(18)), None, None]),
        (BY_COLUMN, [*WORDS[:18], None, None]),
        (BY_TIME, [*range(18), None, None]),
    ],
)
def test_missing_values_are_counted(tmp_path, split, when, name):
    said = refused(tmp_path, table_of(when), split, name=name)
    assert "the column 'when' is missing in 2 of 20 rows" in said


@pytest.mark.parametrize(
    ("split", "when", "words"),
    [
        (BY_TIME, ["soon", "late"] * 10, "write each as 2024-12-31"),
        (
            BY_TIME,
            [*(f"{day:%d/%m/%Y}" for day in DAYS[:19]), "soon"],
            "is 'soon', which is no time",
        ),
        (BY_TIME, ["01/02/2024", "02/01/2024"] * 10, "the day or the month first"),
        (
            BY_TIME,
            ["2024-01-01T08:00:00", "2024-01-01T08:00:00Z"] * 10,
            "a zone in each value or in none",
        ),
        (BY_TIME, [True, False] * 10, "is of type bool; dates, timestamps or numbers"),
        (BY_TIME, [*range(19), float("inf")], "infinite in 1 rows"),
        (BY_TIME, pa.array([2**45] * 20, pa.timestamp("s")), "outside the years 1 to 9999"),
        (BY_TIME, pa.array([2**62] * 20, pa.timestamp("ms")), "outside the years 1 to 9999"),
        (BY_GROUP, [[1], [2]] * 10, "is of type list<element: int64>; strings, numbers or dates"),
        (BY_COLUMN, ["train", "valid"] * 10, "is 'valid' in one of 10 such rows"),
        (BY_COLUMN, ["train", "valid"] * 10, "did you mean 'validation'?"),
        (BY_COLUMN, ["train", "x"] * 10, "it should be one of train, validation, test"),
        (BY_COLUMN, [0, 1] * 10, "is of type int64; it should say 'train', 'validation' or 'test'"),
    ],
)
def test_values_that_the_rule_cannot_read_are_refused(tmp_path, split, when, words):
    assert words in refused(tmp_path, table_of(when), split)


@pytest.mark.parametrize(
    ("split", "when", "words"),
    [
        (BY_TIME, [2023, 2024] * 10, "has 2 distinct time(s), and 3 parts need one each"),
        (BY_GROUP, ["a", "b"] * 10, "of 'when' cannot be divided with a share of"),
        (BY_COLUMN, ["train"] * 20, "no row of 'when' is 'test'"),
        (BY_COLUMN, ["test"] * 20, "no row of 'when' is 'train'"),
    ],
)
def test_too_few_values_for_the_parts_are_refused_in_the_run(tmp_path, split, when, words):
    assert words in refused(tmp_path, table_of(when), split, at_submit=False)


def test_a_class_that_is_new_in_the_test_rows_is_refused(tmp_path):
    table = table_of(DAYS).set_column(2, "y", pa.array(["old", "late"] * 9 + ["new", "new"]))
    said = refused(tmp_path, table, pointer="/split/by", at_submit=False)
    assert said.startswith(
        "class 'new' has no row in the training part; divide otherwise than by time"
    )


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("wen", "'wen' is not a column; did you mean 'when'?"),
        ("y", "'y' is the target; divide the rows by another column"),
        ("weight", "'weight' is the weight; divide the rows by another column"),
    ],
)
def test_a_column_that_cannot_be_what_divides_is_refused_at_submit(tmp_path, column, words):
    table = table_of(DAYS, weight=[1.0] * 20)
    assert words in refused(tmp_path, table, Split(by="time", column=column), weight="weight")


def test_the_column_is_no_category_unless_it_is_a_feature(tmp_path):
    said = refused(
        tmp_path, table_of(DAYS), BY_GROUP, pointer="/data/categorical/0", categorical=["when"]
    )
    assert "'when' is the column to divide by, and a feature only if features names it" in said


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (BuiltinData(source="builtin", name="iris"), "table"),
        (ImageData(source="images", uri="x.npz"), "images"),
    ],
)
def test_what_is_no_table_of_ones_own_is_divided_at_random_alone(tmp_path, data, kind):
    access = DataAccess((tmp_path,), tmp_path)
    for ask in (loading.inspect, loading.load):
        with pytest.raises(
            InvalidData, match=r"has none to divide by; set split\.by to 'random'"
        ) as caught:
            ask(data, task=Task.CLASSIFICATION, kinds=(kind,), access=access, split=BY_TIME)
        assert caught.value.pointer == "/split/by"
