"""What would go wrong without a word is told of: in the warnings, or by a refusal that says what to do."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData
from trainyard.trainer import Data

ROWS = 60


def csv(root: Path, **columns: list[object]) -> None:
    """A file `x.csv` of these columns, and an `a` that tells nothing."""
    columns = {"a": [row * 7 % 61 / 8 for row in range(ROWS)], **columns}
    lines = [",".join(map(str, each)) for each in zip(*columns.values(), strict=True)]
    (root / "x.csv").write_text("\n".join([",".join(columns), *lines]))


def load(root: Path, *, uri: str = "x.csv", task: Task = Task.CLASSIFICATION, **fields) -> Data:
    """As a run reads it, after a look as at submit."""
    spec = FileData.model_validate({"source": "file", "uri": uri, "target": "y", **fields})
    access = DataAccess((root,), root)
    loading.inspect(spec, task=task, kinds=("table",), access=access, split=Split())
    return loading.load(spec, Split(), task=task, access=access)


def every(*values: object) -> list[object]:
    """These values over and over."""
    return [values[row % len(values)] for row in range(ROWS)]


def test_codes_of_digits_that_begin_with_a_zero_are_told_of_unless_they_are_categories(tmp_path):
    csv(tmp_path, zip=every("00501", "90210", "02138"), price=every(0.5, 5, 0), y=every(0, 1))
    (said,) = load(tmp_path).warnings
    assert "the column 'zip' holds numbers that begin with a zero, such as '00501'" in said
    assert load(tmp_path, categorical=["zip"]).warnings == ()
    assert load(tmp_path, drop=["zip"]).warnings == ()


@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize("form", ["%d.%m.%y", "%d-%b-%y", "%d/%m/%y 12:00:00 +0200"])
def test_years_of_two_digits_that_become_years_to_come_are_told_of(tmp_path, form, stated):
    def said(first: int, form: str) -> list[str]:
        days = [dt.date(first + row % 60, 2, row % 28 + 1) for row in range(ROWS)]
        csv(tmp_path, dob=[day.strftime(form) for day in days], y=every(0, 1))
        columns = {"dob": {"type": "date", "day_first": True}} if stated else {}
        return [each for each in load(tmp_path, columns=columns).warnings if "two digits" in each]

    (one,) = said(1940, form)
    assert f"in the column 'dob' {dt.date(1940, 2, 1).strftime(form)!r} is read as 2040" in one
    assert said(1969, form) == []
    assert said(1990, form.replace("%y", "%Y")) == []


def test_labels_of_digits_that_begin_with_a_zero_are_told_of(tmp_path):
    csv(tmp_path, y=every("00", "01"))
    data = load(tmp_path)
    assert data.classes == (0, 1)
    assert "give the labels a letter" in data.warnings[0]


def test_each_file_of_a_folder_may_have_the_codes(tmp_path):
    (tmp_path / "parts").mkdir()
    for name, values in (("1", every(10, 20)), ("2", every("010", "020"))):
        csv(tmp_path, code=values, y=every(0, 1))
        (tmp_path / "x.csv").rename(tmp_path / "parts" / f"{name}.csv")
    assert "such as '010'" in load(tmp_path, uri="parts").warnings[0]


def test_names_that_differ_in_case_or_space_alone_are_told_of(tmp_path):
    csv(tmp_path, colour=every("red", "Red", "blue"), y=every("yes", "no", "yes ", "no"))
    classes, categories = load(tmp_path).warnings
    assert "the target 'y' has 'yes' and 'yes ', which are two classes" in classes
    assert "the column 'colour' has 'Red' and 'red', which are two categories" in categories


def test_a_target_that_is_the_same_everywhere_is_told_of(tmp_path):
    csv(tmp_path, y=every(1.5))
    (said,) = load(tmp_path, task=Task.REGRESSION).warnings
    assert "the target 'y' is 1.5 in every row" in said


def test_a_class_that_is_called_none_can_be_had(tmp_path):
    csv(tmp_path, b=every("", "null", 5), y=every("None", "Some"))
    with pytest.raises(InvalidData, match=r"data\.csv\.missing"):
        load(tmp_path)
    data = load(tmp_path, csv={"missing": ["", "null"]})
    assert data.classes == ("None", "Some")
    assert data.frame["b"].isna().mean() == pytest.approx(2 / 3, abs=0.1)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"PAR1" + bytes(50), "is Parquet; set data.format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50), "is an Excel workbook"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"SQLite format 3\x00", "is an SQLite database"),
        (b"a,b,y", "has a header and no rows"),
    ],
)
def test_a_file_that_is_no_table_of_text_is_called_by_what_it_is(tmp_path, content, complaint):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InvalidData, match=complaint):
        load(tmp_path)


def test_dates_in_several_orders_are_told_of(tmp_path):
    days = [dt.date(2020, 1, 1) + dt.timedelta(row) for row in range(ROWS)]
    mixed = [day.strftime("%Y-%m-%d" if day.day % 2 else "%d/%m/%Y") for day in days]
    csv(tmp_path, when=mixed, y=every(0, 1))
    assert "with the year first in some and last in others" in load(tmp_path).warnings[0]
    stated = {"when": {"type": "date", "day_first": True}}
    assert load(tmp_path, columns=stated).frame["when"].dtype.kind == "M"


def test_a_zone_that_nobody_knows_is_named(tmp_path):
    when = pa.array([0] * ROWS, pa.timestamp("us", "Mars/Base"))
    pq.write_table(pa.table({"when": when, "y": every(0, 1)}), tmp_path / "x.parquet")
    with pytest.raises(InvalidData, match="has the zone 'Mars/Base'"):
        load(tmp_path, uri="x.parquet")


def test_two_columns_of_one_name_are_named(tmp_path):
    twice = pa.Table.from_arrays([pa.array(every(0, 1))] * 3, names=["a", "a", "y"])
    pq.write_table(twice, tmp_path / "x.parquet")
    with pytest.raises(InvalidData, match="the column 'a' occurs 2 times"):
        load(tmp_path, uri="x.parquet")


def test_too_few_rows_are_told_of_in_the_words_of_the_request(tmp_path):
    (tmp_path / "x.csv").write_text("a,y\n1,0\n2,1\n3,0\n4,1\n5,0\n")
    with pytest.raises(InvalidData, match="one of each of the 2 classes") as caught:
        load(tmp_path)
    assert "n_samples" not in str(caught.value)


@pytest.mark.parametrize("names", [("Size", "size"), ("size", " size"), ("Y ", "y")])
def test_columns_that_are_called_alike_are_told_of(tmp_path, names):
    csv(tmp_path, **dict.fromkeys(names, every(1, 2, 4)) | {"y": every(0, 1)})
    assert any(
        f"{names[0]!r}" in each and "called alike" in each for each in load(tmp_path).warnings
    )
