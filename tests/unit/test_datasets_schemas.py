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
            InvalidData, match="Field a has incompatible types: large_string vs int64"
        ):
            look()


def test_a_file_beyond_the_sample_of_the_submit_is_promoted_in_the_run(tmp_path):
    parts = [{} for _ in range(11)]
    data, rows = load(tmp_path, folder(tmp_path, *parts, {"late": [1.5] * ROWS}))
    assert "late" in data.frame
    assert rows[11 * ROWS]["late"] == 1.5


def test_a_delta_table_is_not_read_as_the_parquet_files_that_it_is_made_of(tmp_path):
    spec = folder(tmp_path, {}, {})
    (tmp_path / "parts" / "_delta_log").mkdir()
    (tmp_path / "parts" / "_delta_log" / "00000000000000000000.json").write_text("{}")
    with pytest.raises(InvalidData, match="the Delta table 'parts' cannot be read"):
        load(tmp_path, spec)
