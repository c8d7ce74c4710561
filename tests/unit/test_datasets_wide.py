"""Work grows with the number of columns, not with its square: counted, not timed."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from counting import calls_of
from pyarrow import csv
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.tables.selection import check_has, select
from trainyard.errors import InvalidData


class Name(str):
    """A column's name that counts how often it is compared with another."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other):
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def names(count: int) -> list[str]:
    return [Name(f"gene_{i:06d}") for i in range(count)]


def spec(**fields) -> FileData:
    return FileData(source="file", uri="a.csv", target="y", **fields)


@pytest.mark.parametrize("count", [500, 2000])
@pytest.mark.parametrize("field", ["features", "drop", "categorical"])
def test_names_are_compared_a_few_times_a_column(count, field):
    table = [*names(count), "y", "z"]
    asked = spec(**{field: [str(name) for name in table[:count]]})
    Name.compared = 0
    selection = select(table, asked)
    check_has(table, selection)
    assert all(selection.pointer(name) for name in selection.features)
    assert Name.compared <= 10 * count


def test_a_pointer_names_the_position_in_the_request():
    selection = select(["a", "b", "y"], spec(features=["b", "a"]))
    assert [selection.pointer(name) for name in ("b", "a")] == [
        "/data/features/0",
        "/data/features/1",
    ]


def wide(count: int) -> pa.Table:
    columns = {f"gene_{i:06d}": [float(row) for row in range(4)] for i in range(count)}
    return pa.table({**columns, "y": [0, 1, 0, 1]})


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_look_at_submit_costs_the_same_for_each_column(tmp_path, ending):
    def look(count: int) -> int:
        write = csv.write_csv if ending == "csv" else pq.write_table
        write(wide(count), tmp_path / f"{count}.{ending}")
        asked = FileData(
            source="file",
            uri=f"{count}.{ending}",
            target="y",
            features=[f"gene_{i:06d}" for i in range(count)],
        )
        access = DataAccess(roots=(tmp_path,), data_dir=tmp_path)
        return calls_of(
            lambda: loading.inspect(
                asked, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split()
            )
        )

    look(10)
    few, many = look(250), look(1000)
    assert many - few <= 750 * (few / 250) * 1.2


def test_a_header_longer_than_the_first_megabyte_is_read(tmp_path):
    header = ",".join([f"c{i:05d}_{'x' * 100}" for i in range(11_000)] + ["y"])
    row = ",".join(["1"] * 11_000)
    (tmp_path / "wide.csv").write_text(f"{header}\n" + f"{row},0\n{row},1\n" * 100)
    asked = FileData(source="file", uri="wide.csv", target="y")
    access = DataAccess(roots=(tmp_path,), data_dir=tmp_path)
    loading.inspect(asked, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split())


def test_a_first_row_without_an_end_is_refused_with_its_size(tmp_path):
    (tmp_path / "long.csv").write_bytes(b"a,y\n" + b"1" * (17 << 20) + b",0\n")
    asked = FileData(source="file", uri="long.csv", target="y")
    access = DataAccess(roots=(tmp_path,), data_dir=tmp_path)
    with pytest.raises(InvalidData, match="longer than 8 MB"):
        loading.inspect(
            asked, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split()
        )
