"""A folder of CSV is one table, and so is the CSV in a zip; both by the same rules as one file."""

import tracemalloc
import zipfile
from pathlib import Path

import pytest
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.addresses import locate
from trainyard.datasets.tables.streams import stream_of
from trainyard.errors import InvalidData

ROWS = 100


def table(*names: str, value=str, delimiter=",", header=True) -> str:
    """`ROWS` rows, the last name is the target's, each other value by `value` of its row."""
    lines = [[*(value(row) for _ in names[:-1]), str(row % 2)] for row in range(ROWS)]
    return "\n".join(map(delimiter.join, [[*names]] * header + lines)) + "\n"


def german(row: int) -> str:
    return f"{row / 7:.2f}".replace(".", ",")


def folder(root: Path, **files: str) -> None:
    for name, content in files.items():
        path = root / "parts" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())


def load(root: Path, uri: str = "parts", **fields):
    spec = FileData(source="file", uri=uri, target="y", **fields)
    access = DataAccess((root,), root)
    loading.inspect(spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split())
    data = loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)
    return data, sum(data.profile["parts"].values())


def refused(root: Path, uri: str = "parts", **fields) -> str:
    with pytest.raises(InvalidData) as error:
        load(root, uri, **fields)
    return error.value.detail


def zipped(root: Path, **files: str) -> None:
    with zipfile.ZipFile(root / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)


def test_files_of_a_folder_are_read_each_in_its_own_dialect_and_joined_by_name(tmp_path):
    folder(
        tmp_path,
        **{
            "a.csv": table("a", "early", "y"),
            "b.tsv": table("late", "a", "y", value=german, delimiter="\t"),
            "_SUCCESS": "",
            ".a.csv.crc": "crc",
            "notes.md": "# no table",
        },
    )
    data, rows = load(tmp_path)
    assert rows == 2 * ROWS
    assert {str(kind) for kind in data.frame.dtypes} == {"float64"}
    assert data.frame["late"].isna().sum() + data.frame["early"].isna().sum() == len(data.frame)
    said = "\n".join(data.warnings)
    assert "written in more ways than one, and each is read in its own, such as 'b.tsv'" in said
    assert "'a' is whole numbers in some files and numbers in others" in said
    assert "'early' is not in 1 of 2 files of 'parts', such as 'b.tsv'" in said
    assert "'late' is not in 1 of 2 files of 'parts', such as 'a.csv'" in said
    (tmp_path / "parts/c.csv").write_bytes(table("a", "książka", "y").encode("cp1250"))
    said = "\n".join(load(tmp_path)[0].warnings)
    assert "'c.csv' is read in the encoding cp1250, in which its first text beyond" in said


def test_what_is_text_in_one_file_is_read_as_the_text_that_it_is_in_all(tmp_path):
    codes = table("a", "y", value=lambda row: f"{row:03d}")
    folder(tmp_path, **{"a.csv": codes, "b.csv": table("a", "y", value="k{}".format)})
    data, _ = load(tmp_path)
    assert {"007", "k7"} & set(data.frame["a"])
    assert not {"7", "7.0"} & set(data.frame["a"])


def test_a_mark_among_the_numbers_of_one_file_is_missing(tmp_path):
    folder(
        tmp_path,
        **{"a.csv": table("a", "y"), "b.csv": table("a", "y").replace("\n50,", "\n?,")},
    )
    data, _ = load(tmp_path)
    assert data.frame["a"].dtype == "float64"
    assert any("'?' counts as missing, in 1 of 200 rows" in each for each in data.warnings)


def test_folders_named_after_a_value_add_a_column_to_their_files(tmp_path):
    folder(
        tmp_path,
        **{
            "year=2020__a.csv": table("a", "y"),
            "year=2021__b.csv": table("a", "year", "y", value=lambda _: "1"),
        },
    )
    data, _ = load(tmp_path)
    assert set(data.frame["year"]) == {2020, 2021}


def test_a_file_without_the_target_is_refused_by_its_name_with_what_to_do(tmp_path):
    folder(tmp_path, **{"a.csv": table("b", "y"), "b.csv": table("b", "c", "z")})
    said = refused(tmp_path)
    assert "'parts/b.csv' has no column 'y', which other files have; add it there" in said
    folder(tmp_path, **{"c.csv": table("b", "z"), "b.csv": table("b", "Y")})
    assert "'parts/b.csv' calls the column 'y' 'Y'" in refused(tmp_path)
    assert refused(tmp_path).endswith(", as do 1 more files")


def test_rows_without_a_target_may_be_left_out_by_a_filter(tmp_path):
    folder(tmp_path, **{"a.csv": table("b", "y"), "b.csv": table("b", "z")})
    counting = [{"column": "y", "op": "is not null"}]
    _, rows = load(tmp_path, filter=counting)
    assert rows == ROWS


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True)])
def test_a_file_without_a_header_is_refused_by_its_name(tmp_path, first, second):
    folder(
        tmp_path,
        **{"a.csv": table("b", "y", header=first), "b.csv": table("b", "y", header=second)},
    )
    name = "b.csv" if first else "a.csv"
    said = refused(tmp_path)
    assert f"'parts/{name}' begins with '" in said
    assert "where other files have the header 'b', 'y'; write the header into it" in said


def test_a_name_that_is_in_a_header_twice_is_refused_with_the_file(tmp_path):
    folder(tmp_path, **{"a.csv": table("b", "y"), "b.csv": table("b", "b", "y")})
    assert "the column 'b' occurs 2 times in parts/b.csv" in refused(tmp_path)


def test_files_of_which_none_has_a_header_say_what_to_set(tmp_path):
    folder(tmp_path, **{"a.csv": table("b", "c", "y", header=False, value=lambda r: f"{r + 0.5}")})
    assert "set data.csv.header to false" in refused(tmp_path)


def test_no_and_mixed_folders_are_told_apart(tmp_path):
    folder(tmp_path, **{"notes.md": "x"})
    assert "holds no .parquet file" in refused(tmp_path)
    assert "holds no .csv file" in refused(tmp_path, format="csv")


def test_a_folder_of_csv_is_scored_row_by_row_as_it_is_read(tmp_path):
    folder(
        tmp_path,
        **{"a.csv": table("a", "y"), "b.csv": table("a", "y", value=german, delimiter=";")},
    )
    spec = FileData(source="file", uri="parts", target="y")
    location = locate("parts", DataAccess((tmp_path,), tmp_path))
    stream = stream_of(location, spec, names=["a"], whole=["y"], most_whole=1000)
    values = [value for batch in stream.batches() for value in batch["a"].to_pylist()]
    assert (stream.rows, values[3], values[ROWS + 7]) == (2 * ROWS, 3.0, 1.0)
    assert stream.whole["y"].to_pylist()[:3] == [0, 1, 0]


@pytest.mark.parametrize("uri", ["x.zip", "x.csv.zip"])
def test_the_one_table_in_a_zip_is_read_in_its_dialect(tmp_path, uri):
    content = table("a", "y", value=german, delimiter=";")
    zipped(tmp_path, **{"deep__x.csv": content, "LICENSE.txt": "x", "__MACOSX__deep__._x.csv": "x"})
    (tmp_path / "x.zip").rename(tmp_path / uri)
    data, rows = load(tmp_path, uri)
    assert (rows, data.frame["a"].dtype) == (ROWS, "float64")
    assert any("the delimiter ';', decimal commas" in each for each in data.warnings)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a.csv": "a,y\n1,0\n", "b.csv": "a,y\n1,0\n"}, "holds 'a.csv', 'b.csv', and one table"),
        ({"xl__workbook.xml": "<x/>"}, "is an Excel workbook; save its sheet as CSV"),
        ({"a.parquet": "PAR1"}, "of a zip CSV is read; unpack it"),
        ({"folder__": ""}, "holds no file, and one table is read of a zip"),
    ],
)
def test_a_zip_of_anything_else_is_refused_at_submit(tmp_path, files, complaint):
    zipped(tmp_path, **files)
    assert complaint in refused(tmp_path, "x.zip")


def test_a_damaged_zip_is_refused_at_submit(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    assert "is not a zip of one CSV" in refused(tmp_path, "x.zip")


def test_a_zip_that_would_unpack_to_a_lot_costs_the_look_little(tmp_path):
    zipped(tmp_path, **{"x.csv": "a,y\n" + "1,0\n2,1\n" * 10_000_000})
    spec = FileData(source="file", uri="x.zip", target="y")
    tracemalloc.start()
    loading.inspect(
        spec,
        task=Task.CLASSIFICATION,
        kinds=("table",),
        access=DataAccess((tmp_path,), tmp_path),
        split=Split(),
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6, "of 80 MB"
