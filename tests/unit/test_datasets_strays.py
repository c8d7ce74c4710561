"""Tables that were made for people, or put together by hand: what is none of their rows is told of as that."""

import gzip
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData
from trainyard.trainer import Data

HEADER = "size,width,colour,y\n"
ROWS = [f"{i * 0.37:.2f},{i % 50 + 10},{'red' if i % 3 else 'blue'},{i % 2}\n" for i in range(60)]


def with_rows(*stray: str, at: int = 0, header: str = HEADER) -> str:
    """A plain table, with others among its rows."""
    return "".join([header, *ROWS[:at], *(f"{each}\n" for each in stray), *ROWS[at:]])


def loaded(root: Path, content: str | bytes, name: str = "t.csv", **fields: Any) -> Data:
    """As a submit and then a run read it."""
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    task = Task(fields.pop("task", "classification"))
    spec = FileData.model_validate({"source": "file", "uri": name, "target": "y", **fields})
    access = DataAccess((root,), root)
    loading.inspect(spec, task=task, kinds=("table",), access=access, split=Split())
    return loading.load(spec, Split(), task=task, access=access)


def rows_of(data: Data) -> int:
    return sum(len(part.y) for part in (data.train, data.validation, data.test) if part)


STRAY = {
    "header": (with_rows(HEADER.strip(), at=30), "row 31 of 61 .* repeats the header"),
    "headers": (with_rows(*[HEADER.strip()] * 3, at=30), "row 31 of 63 .* repeats the header"),
    "units": (with_rows("kg,cm,,"), "row 1 of 61 .*'kg'.* units"),
    "units of the target too": (with_rows("[kg],[cm],[-],[-]"), r"row 1 of 61 .*'\[kg\]'.* units"),
    "types": (with_rows("float,int,text,int"), "row 1 of 61 .*'float'.* types"),
    "a line": (with_rows("---,---,---,---"), "row 1 of 61 .*'---'.* or a line"),
    "a total": (with_rows("Total:,1770,,", at=60), "row 61 of 61 .*'Total:'.* adds the others up"),
    "a comment": (with_rows("# so far, so, good, I", at=30), "row 31 of 61 .* as a comment does"),
}


@pytest.mark.parametrize("kind", STRAY)
def test_a_row_that_is_none_is_told_of_with_the_filter_that_leaves_it_out(
    tmp_path: Path, kind: str
) -> None:
    content, said = STRAY[kind]
    with pytest.raises(InvalidData, match=said) as error:
        loaded(tmp_path, content)
    assert error.value.pointer == "/data/target"
    stated = re.search(r"data.filter to (\[.*\])", error.value.detail)
    assert stated
    data = loaded(tmp_path, content, filter=json.loads(stated[1]))
    assert rows_of(data) == len(ROWS)
    assert data.train.x["width"].dtype.kind in "if"


@pytest.mark.parametrize(
    ("stray", "at", "said"),
    [
        ("{names},y", 20_000, "row 20,001 of 40,001 .* repeats the header"),
        ("{units},", 0, "row 1 of 40,001 .* units"),
        ("Total{empty},", 40_000, "row 40,001 of 40,001 .* adds the others up"),
    ],
)
def test_a_table_beyond_memory_is_told_of_it_too(
    tmp_path: Path, stray: str, at: int, said: str
) -> None:
    names = [f"x{column}" for column in range(12)]
    lines = [",".join([*["1.5"] * 12, str(row % 2)]) for row in range(40_000)]
    row = stray.format(names=",".join(names), units=",".join(["kg"] * 12), empty="," * 11)
    content = "\n".join([",".join([*names, "y"]), *lines[:at], row, *lines[at:]])
    (tmp_path / "t.csv").write_text(content)
    spec = FileData.model_validate({"source": "file", "uri": "t.csv", "target": "y"})
    access = DataAccess((tmp_path,), tmp_path, memory_mb=8)
    with pytest.raises(InvalidData, match=said):
        loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access, needs_whole=None)
    plain = "\n".join([",".join([*names, "y"]), *lines])
    (tmp_path / "t.csv").write_text(plain)
    data = loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access, needs_whole=None)
    assert data.beyond_memory


@pytest.mark.parametrize("stray", [HEADER.strip(), "kg,cm,-,EUR"])
def test_a_regression_is_told_of_it_too(tmp_path: Path, stray: str) -> None:
    with pytest.raises(InvalidData, match="row 1 of 61"):
        loaded(tmp_path, with_rows(stray), task="regression")


def test_a_class_that_is_called_as_its_column_is_no_header(tmp_path: Path) -> None:
    rows = "".join(f"{i},{'y' if i % 2 else 'n'}\n" for i in range(60))
    assert loaded(tmp_path, f"a,y\n{rows}").classes == ("n", "y")


@pytest.mark.parametrize("target", ["", ",1"])
def test_a_missing_label_is_still_told_of_where_all_rows_are_rows(
    tmp_path: Path, target: str
) -> None:
    content = with_rows(f"1.5,12,red{target or ','}", "1.5,12,red,", at=30)
    with pytest.raises(InvalidData, match="is missing in"):
        loaded(tmp_path, content)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("Summe,1770,30", "the column 'colour' is 'Summe' in some rows"),
        ("Summe,1770,30", "is 30.0 in the last row, which is the sum of all others"),
        ("red,12,1", None),
    ],
)
def test_a_total_that_can_be_trained_on_is_warned_of(
    tmp_path: Path, last: str, said: str | None
) -> None:
    rows = "".join(f"{'red' if i % 3 else 'blue'},{i},{i % 2}\n" for i in range(60))
    data = loaded(tmp_path, f"colour,width,y\n{rows}{last}\n", task="regression")
    found = [each for each in data.warnings if "add up" in each or "sum of all" in each]
    assert any(said in each for each in found) if said else not found


def test_a_total_over_numbers_is_warned_of_by_its_word(tmp_path: Path) -> None:
    data = loaded(tmp_path, with_rows("total,1770,,1", at=60))
    assert any("the column 'size' is 'total' in some rows" in each for each in data.warnings)


@pytest.mark.parametrize("name", ["wi\0dth", '"wi\0d\nth"', '"\0\r\n\0"'])
def test_no_row_is_lost_to_a_zero_byte_in_the_header(tmp_path: Path, name: str) -> None:
    data = loaded(tmp_path, with_rows(header=f"size,{name},colour,y\n"))
    assert rows_of(data) == len(ROWS)
    assert name.strip('"') in data.train.x


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"])
def test_wide_encodings_are_known_without_a_mark(tmp_path: Path, encoding: str) -> None:
    data = loaded(tmp_path, with_rows().encode(encoding))
    assert (data.profile["csv"]["encoding"], rows_of(data)) == (encoding, len(ROWS))


def zipped(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr(name, content)
    return made.getvalue()


PLAIN = with_rows().encode()
PARQUET = io.BytesIO()
pq.write_table(pa.table({"a": range(40), "y": [each % 2 for each in range(40)]}), PARQUET)
NOT_WHAT_IT_SAYS = {
    "t.zip": (zipped("t.csv.gz", gzip.compress(PLAIN)), "packed twice; unpack it once"),
    "u.zip": (zipped("t.zip", zipped("t.csv", PLAIN)), "packed twice; unpack it once"),
    "t.csv.gz": (gzip.compress(gzip.compress(PLAIN)), "packed twice; unpack it once"),
    "t.csv": (b"<?xml version='1.0'?><rows/>", "is XML; save the table as CSV"),
    "t.parquet": (PLAIN, "it begins with b'size'.* set data.format to 'csv'"),
    "t.parquet.gz": (gzip.compress(PARQUET.getvalue()), "where it is packed, unpack it"),
    "u.parquet": (PARQUET.getvalue()[:-20], "does not end in b'PAR1'; write the file again"),
    "t.xlsx": (PLAIN, "save a table of another kind as CSV or Parquet"),
}


@pytest.mark.parametrize("name", NOT_WHAT_IT_SAYS)
def test_a_file_that_is_not_what_its_name_says_is_told_of(tmp_path: Path, name: str) -> None:
    content, said = NOT_WHAT_IT_SAYS[name]
    with pytest.raises(InvalidData, match=said):
        loaded(tmp_path, content, name)


def test_a_name_that_is_there_twice_is_refused_though_zeros_lead_its_numbers(
    tmp_path: Path,
) -> None:
    rows = "".join(f"00{i},{i},{i % 2}\n" for i in range(40))
    with pytest.raises(InvalidData, match="the column '1' occurs 2 times"):
        loaded(tmp_path, f"1,1,y\n{rows}")


def test_a_column_without_a_name_gets_one_that_no_other_has(tmp_path: Path) -> None:
    rows = "".join(f"{i}.5,{i},3,{i % 5},{i % 2}\n" for i in range(40))
    data = loaded(tmp_path, f",Unnamed: 0,Unnamed: 0.1,b,y\n{rows}")
    assert set(data.profile["left_out"]) == {"Unnamed: 0.2", "Unnamed: 0", "Unnamed: 0.1"}


def test_hexadecimal_numbers_are_warned_of(tmp_path: Path) -> None:
    rows = "".join(f"{i},{hex(i)},{i % 2}\n" for i in range(40))
    (said,) = [each for each in loaded(tmp_path, f"a,b,y\n{rows}").warnings if "hexa" in each]
    assert "the column 'b' holds hexadecimal numbers, such as '0x0'" in said


def test_identifiers_that_look_like_powers_of_ten_are_warned_of_and_such_numbers_are_not(
    tmp_path: Path,
) -> None:
    def said(*values: str) -> list[str]:
        rows = "".join(f"{i % 7},{values[i % len(values)]},{i % 2}\n" for i in range(40))
        return [each for each in loaded(tmp_path, f"a,b,y\n{rows}").warnings if "codes" in each]

    assert "the column 'b' holds '56e7'" in said("1234", "9012", "56e7")[0]
    assert "in which that is 560,000,000; where they are codes" in said("1234", "56e7")[0]
    assert not said("1.5e3", "2e3")
    assert not said("1e-05", "3")


@pytest.mark.parametrize(("mark", "is_told"), [("?", True), ("nan", True), ("unknown", False)])
def test_a_class_that_is_called_as_a_missing_value_is_told_of(
    tmp_path: Path, mark: str, is_told: bool
) -> None:
    labels = [("no", "yes", mark)[i % 3] for i in range(60)]
    pq.write_table(pa.table({"a": list(range(60)), "y": labels}), tmp_path / "t.parquet")
    data = loaded(tmp_path, (tmp_path / "t.parquet").read_bytes(), "t.parquet")
    told = [each for each in data.warnings if "which is read as a class" in each]
    assert bool(told) == is_told
    assert all(
        f'set data.filter to [{{"column": "y", "op": "!=", "value": "{mark}"}}]' in each
        for each in told
    )
