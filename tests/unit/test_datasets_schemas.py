"""Folders of Parquet whose files differ: nothing is lost, and nothing is read as what it is not."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData

ROWS = 20


def folder(root: Path, *parts: dict) -> FileData:
    """A folder with one file a dict of columns, each with `row` and `y` beside them."""
    for number, columns in enumerate(parts):
        size = len(next(iter(columns.values()))) if columns else ROWS
        row = pa.array(range(number * ROWS, number * ROWS + size), pa.int64())
        path = root / "parts" / f"day={number}" / "part.parquet"
        path.parent.mkdir(parents=True)
        table = pa.table({**columns, "row": row, "y": pa.array([i % 2 for i in range(size)])})
        pq.write_table(table, path)
    return FileData(source="file", uri="parts", target="y")


def load(root: Path, spec: FileData):
    """The data as it is trained on, by row number; the look at submit must accept it too."""
    access = DataAccess((root,), root)
    loading.inspect(spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split())
    data = loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)
    rows = [
        (row, part.x.iloc[at])
        for part in (data.train, data.validation, data.test)
        for at, row in enumerate(part.x["row"])
    ]
    return data, dict(rows)


def test_a_column_that_later_files_have_is_missing_in_the_first(tmp_path):
    later = [float(i) for i in range(ROWS)]
    data, rows = load(tmp_path, folder(tmp_path, {}, {"late": later}))
    assert list(data.frame) == ["row", "late", "day"]
    assert len(rows) == 2 * ROWS
    assert all(np.isnan(rows[i]["late"]) and rows[ROWS + i]["late"] == i for i in range(ROWS))


def test_a_column_that_later_files_lack_is_missing_there(tmp_path):
    _, rows = load(tmp_path, folder(tmp_path, {"early": [1.5] * ROWS}, {}))
    assert (rows[0]["early"], np.isnan(rows[ROWS]["early"])) == (1.5, True)


def test_a_whole_number_that_no_float_holds_is_refused_by_its_column(tmp_path):
    spec = folder(tmp_path, {"a": [0.5] * ROWS}, {"a": [2**60 + 1] * ROWS})
    with pytest.raises(InvalidData, match="the column 'a' of 'parts' cannot be read"):
        loading.load(
            spec, Split(), task=Task.CLASSIFICATION, access=DataAccess((tmp_path,), tmp_path)
        )


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (pa.array([1] * ROWS), pa.array([2.5] * ROWS), "float64"),
        (pa.array([1] * ROWS, pa.int32()), pa.array([2.5] * ROWS, pa.float32()), "float64"),
        (pa.array([1] * ROWS, pa.int8()), pa.array([10**12] * ROWS), "int64"),
        (pa.array([None] * ROWS), pa.array([2.5] * ROWS), "float64"),
        (pa.array([None] * ROWS), pa.array(["red"] * ROWS), "category"),
        (pa.array([], pa.null()), pa.array(["red"] * ROWS), "category"),
        (pa.array(["red"] * ROWS), pa.array(["red"] * ROWS).dictionary_encode(), "category"),
        (pa.array(["red"] * ROWS), pa.array(["red"] * ROWS, pa.large_string()), "category"),
        (pa.array(["red"] * ROWS), pa.array(["red"] * ROWS, pa.string_view()), "category"),
    ],
)
def test_types_that_differ_are_promoted_to_one_that_holds_both(
    tmp_path, one, other, kind, backwards
):
    parts = [{"a": one}, {"a": other}]
    data, rows = load(tmp_path, folder(tmp_path, *(parts[::-1] if backwards else parts)))
    assert str(data.frame["a"].dtype) == kind
    expected = [*other, *one] if backwards else [*one, *other]
    offsets = sorted(rows)
    assert len(offsets) == len(expected)
    for row, value in zip(offsets, expected, strict=True):
        plain = value.as_py()
        assert rows[row]["a"] == plain or (plain is None and rows[row]["a"] != rows[row]["a"])


def test_text_in_one_file_and_numbers_in_another_are_refused_by_the_columns_name(tmp_path):
    spec = folder(tmp_path, {"a": ["x"] * ROWS}, {"a": [1] * ROWS})
    access = DataAccess((tmp_path,), tmp_path)
    for look in (
        lambda: loading.inspect(
            spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split()
        ),
        lambda: loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access),
    ):
        with pytest.raises(
            InvalidData,
            match=r"'a' is text in 'day=0/part\.parquet' and whole numbers in 'day=1/part\.parquet'",
        ):
            look()


def test_a_file_beyond_the_sample_of_the_submit_is_promoted_in_the_run(tmp_path):
    parts = [{} for _ in range(11)]
    data, rows = load(tmp_path, folder(tmp_path, *parts, {"late": [1.5] * ROWS}))
    assert "late" in data.frame
    assert rows[11 * ROWS]["late"] == 1.5


def test_a_file_without_the_target_or_the_weight_is_refused_by_its_name(tmp_path):
    whole = {"a": [1.0, 2.0], "w": [1.0, 1.0], "y": [0, 1]}
    for gone in ("w", "y"):
        (tmp_path / gone).mkdir()
        pq.write_table(pa.table(whole), tmp_path / gone / "0.parquet")
        pq.write_table(pa.table(whole).drop_columns([gone]), tmp_path / gone / "1.parquet")
        spec = FileData(source="file", uri=gone, target="y", weight="w")
        with pytest.raises(InvalidData, match=f"'{gone}/1.parquet' has no column '{gone}', which"):
            load(tmp_path, spec)


def test_csv_beside_parquet_is_told_of(tmp_path):
    spec = folder(tmp_path, {})
    (tmp_path / spec.uri / "more.csv").write_text("a,y\n1,0\n")
    assert any(
        "holds CSV beside Parquet, such as 'more.csv'" in each
        for each in load(tmp_path, spec)[0].warnings
    )


def test_a_delta_table_is_not_read_as_the_parquet_files_that_it_is_made_of(tmp_path):
    spec = folder(tmp_path, {}, {})
    (tmp_path / "parts" / "_delta_log").mkdir()
    (tmp_path / "parts" / "_delta_log" / "00000000000000000000.json").write_text("{}")
    with pytest.raises(InvalidData, match="the Delta table 'parts' cannot be read"):
        load(tmp_path, spec)


def test_columns_that_not_all_files_have_or_that_differ_in_kind_are_told_of(tmp_path):
    later = {"late": [row / 7 for row in range(ROWS)], "kind": [row / 3 for row in range(ROWS)]}
    data, _ = load(tmp_path, folder(tmp_path, {"kind": [*range(ROWS)]}, later))
    assert list(data.warnings)[:2] == [
        "the column 'kind' is whole numbers in some files and numbers in others of 'parts', and is read as numbers",
        "the column 'late' is not in 1 of 2 files of 'parts', such as 'day=0/part.parquet', and is missing in their rows",
    ]


def test_dates_in_one_file_and_times_in_another_are_times(tmp_path):
    days = pa.array([*range(ROWS)], pa.date32())
    times = pa.array([row * 3_600_000_000 for row in range(ROWS)], pa.timestamp("us"))
    data, rows = load(tmp_path, folder(tmp_path, {"when": days}, {"when": times}))
    assert str(data.frame["when"].dtype) == "datetime64[us]"
    assert (rows[1]["when"].day, rows[ROWS + 1]["when"].hour) == (2, 1)


def parts(root: Path, *files: str) -> FileData:
    """A folder of these files, each with rows of its own."""
    for number, file in enumerate(files):
        path = root / "parts" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        table = {"row": range(number * ROWS, number * ROWS + ROWS), "y": [0, 1] * (ROWS // 2)}
        pq.write_table(pa.table({name: pa.array([*each]) for name, each in table.items()}), path)
    return FileData(source="file", uri="parts", target="y")


@pytest.mark.parametrize(
    ("files", "read"),
    [
        (["_year=2020/a.parquet", "_year=2021/a.parquet", "_temporary/0/a.parquet"], 2),
        (["a.parquet", ".b.parquet", "_c.parquet", "d.parquet._COPYING_", ".e/f.parquet"], 1),
        (["000000_0", "000001_0", "_SUCCESS"], 2),
        (["a.parquet", "README", "_metadata"], 1),
        (["a.parquet.gzip", "b.snappy.parquet", "c.PARQUET"], 3),
    ],
)
def test_the_files_of_a_table_are_those_that_spark_and_hive_mean(tmp_path, files, read):
    _, rows = load(tmp_path, parts(tmp_path, *files))
    assert len(rows) == read * ROWS


def test_files_without_a_byte_or_a_row_are_none(tmp_path):
    spec = parts(tmp_path, "b.parquet")
    (tmp_path / "parts/a.parquet").touch()
    empty = pa.table({"row": pa.array([], pa.null()), "y": pa.array([], pa.null())})
    pq.write_table(empty, tmp_path / "parts/aa.parquet")
    data, rows = load(tmp_path, spec)
    assert (len(rows), str(data.frame["row"].dtype)) == (ROWS, "int64")


def test_one_parquet_file_may_be_named_after_its_packing(tmp_path):
    pq.write_table(pa.table({"a": [*range(40)], "y": [0, 1] * 20}), tmp_path / "x.parquet.gzip")
    spec = FileData(source="file", uri="x.parquet.gzip", target="y")
    access = DataAccess((tmp_path,), tmp_path)
    assert len(loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access).frame) == 28


@pytest.mark.parametrize("own", [[2020, 2021], ["2020", "2021"]])
def test_what_a_folder_says_of_its_rows_stands_above_what_its_files_do(tmp_path, own):
    spec = parts(tmp_path, "year=2020/a.parquet", "year=2021/a.parquet")
    for year, value in zip((2020, 2021), own, strict=True):
        path = tmp_path / f"parts/year={year}/a.parquet"
        with_own = pq.read_table(path, partitioning=None)
        pq.write_table(with_own.append_column("year", pa.array([value] * ROWS)), path)
    _, rows = load(tmp_path, spec)
    assert (rows[0]["year"], rows[ROWS]["year"]) == (2020, 2021)


def test_codes_in_the_names_of_folders_keep_their_zeros(tmp_path):
    spec = parts(tmp_path, "store=007/a.parquet", "store=010/a.parquet", "store=x%20y/a.parquet")
    _, rows = load(tmp_path, spec)
    assert [rows[number * ROWS]["store"] for number in range(3)] == ["007", "010", "x y"]
