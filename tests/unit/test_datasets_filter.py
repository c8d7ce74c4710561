"""Conditions on rows: the same rows count in every kind of table, at submit, in a run and in a scoring."""

import datetime as dt
import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyarrow import dataset
from pydantic import ValidationError
from pyiceberg.catalog import load_catalog
from trainyard.contract import (
    AnyTable,
    Condition,
    DeltaData,
    FileData,
    IcebergData,
    ScoredFileData,
    ScoreRequest,
    Split,
    Task,
)
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.scoring.tables import Wanted, rows_of_table
from trainyard.datasets.tables.filtered import expression, filtered
from trainyard.errors import InvalidData
from trainyard.worker.logged_dataset import dataset_input

ROWS = 60
KINDS = ("parquet", "folder", "csv", "csv folder", "delta", "iceberg")


def table() -> pa.Table:
    """Row n has the number n, a third of it missing; a day of January; text; and a date and time."""
    numbers = range(ROWS)
    first = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - without a zone, as in most tables
    return pa.table(
        {
            "n": pa.array(numbers, pa.int64()),
            "x": pa.array([each / 2 if each % 3 else None for each in numbers], pa.float64()),
            "name": [f"n{each % 4}" for each in numbers],
            "flag": [each % 5 == 0 for each in numbers],
            "day": pa.array([dt.date(2026, 1, 1 + each % 30) for each in numbers]),
            "at": pa.array(
                [first + dt.timedelta(hours=each) for each in numbers], pa.timestamp("us")
            ),
            "y": pa.array([each // 5 % 2 for each in numbers], pa.int64()),
        }
    )


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> DataAccess:
    root, whole = tmp_path_factory.mktemp("roots"), table()
    pq.write_table(whole, root / "one.parquet", row_group_size=10)
    pyarrow.csv.write_csv(whole, root / "one.csv")
    for folder, ending in (("parts", "parquet"), ("texts", "csv")):
        (root / folder).mkdir()
        for start in (0, 30):
            path = root / folder / f"{start:02}.{ending}"
            part = whole.slice(start, 30)
            pq.write_table(part, path) if ending == "parquet" else pyarrow.csv.write_csv(part, path)
    write_deltalake(root / "versions", whole)
    properties = {
        "type": "sql",
        "uri": f"sqlite:///{root}/catalog.db",
        "warehouse": f"file://{root}/warehouse",
    }
    lake = load_catalog("lake", **properties)
    lake.create_namespace("shop")
    lake.create_table("shop.sales", schema=whole.schema).append(whole)
    lines = "\n".join(f'{name} = "{value}"' for name, value in properties.items())
    (root / "connections.toml").write_text(f"[iceberg.lake]\n{lines}\n")
    return DataAccess((root,), root, connections_file=root / "connections.toml")


def spec_of(kind: str, *conditions: tuple[Any, ...], **changes: Any) -> AnyTable:
    fields = {
        "target": "y",
        "filter": [
            Condition(column=column, op=op, value=value[0] if value else None)
            for column, op, *value in conditions
        ],
        **changes,
    }
    if kind == "iceberg":
        return IcebergData(source="iceberg", catalog="lake", table="shop.sales", **fields)
    if kind == "delta":
        return DeltaData(source="delta", uri="versions", **fields)
    uri = {"parquet": "one.parquet", "folder": "parts", "csv": "one.csv", "csv folder": "texts"}
    return FileData(source="file", uri=uri[kind], **fields)


def load(spec: AnyTable, access: DataAccess) -> Any:
    loading.inspect(spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split())
    return loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)


def numbers_in(data: Any) -> list[int]:
    parts = (data.train, data.validation, data.test)
    return sorted(int(each) for part in parts for each in part.x["n"])


CASES = [
    ([("n", ">=", 20), ("n", "<", 50)], lambda n: 20 <= n < 50),
    ([("n", ">", 29.5)], lambda n: n > 29.5),
    ([("n", "in", [*range(10, 40)])], lambda n: 10 <= n < 40),
    ([("x", "!=", 10.0)], lambda n: n % 3 and n != 20),
    ([("x", "not in", [10.0, 11.0])], lambda n: n % 3 and n not in {20, 22}),
    ([("x", "is null")], lambda n: n % 3 == 0),
    ([("x", "is not null")], lambda n: n % 3),
    ([("name", "==", "n1")], lambda n: n % 4 == 1),
    ([("name", "not in", ["n1", "n2"])], lambda n: n % 4 not in {1, 2}),
    ([("flag", "==", False)], lambda n: n % 5),
    ([("day", ">=", "2026-01-16")], lambda n: n % 30 >= 15),
    ([("at", ">=", "2026-01-02")], lambda n: n >= 24),
    ([("n", "<=", 29.5), ("n", ">=", 10.0)], lambda n: 10 <= n < 30),
    ([("at", "<", "2026-01-02T12:00:00")], lambda n: n < 36),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("conditions", "counts"), CASES, ids=[str(each[0]) for each in CASES])
def test_the_same_rows_count_in_every_kind_of_table(access, kind, conditions, counts):
    data = load(spec_of(kind, *conditions, features=["n", "name"]), access)
    assert numbers_in(data) == [n for n in range(ROWS) if counts(n)]
    assert data.profile["filter"][0]["column"] == conditions[0][0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (("nn", ">", 1), "/data/filter/0/column: 'nn' is not a column; did you mean 'n'?"),
        (("n", ">", "1"), "/data/filter/0/value: the column 'n' holds numbers (int64), and '1'"),
        (("n", "==", True), "/data/filter/0/value: the column 'n' holds numbers"),
        (("n", "==", 2**70), "/data/filter/0/value: the column 'n' holds numbers"),
        (("n", "!=", 1.5), "/data/filter/0/value: the column 'n' holds numbers (int64), and 1.5"),
        (("name", "in", [1]), "/data/filter/0/value: the column 'name' holds text, and 1"),
        (("day", ">", 5), "/data/filter/0/value: the column 'day' holds dates"),
        (("day", ">", "soon"), "/data/filter/0/value: the column 'day' holds dates"),
        (("flag", "==", "yes"), "/data/filter/0/value: the column 'flag' holds true and false"),
    ],
)
def test_what_a_column_cannot_be_is_refused_at_submit(access, kind, condition, why):
    with pytest.raises(InvalidData) as caught:
        load(spec_of(kind, condition), access)
    assert f"{caught.value.pointer}: {caught.value.detail}".startswith(why)


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_that_no_row_meets_is_said(access, kind):
    spec = spec_of(kind, ("n", ">", 1000), ("x", "is null"))
    with pytest.raises(InvalidData, match=r"no row .* meets n > 1000 and x is null") as caught:
        loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)
    assert caught.value.pointer == "/data/filter"


@pytest.mark.parametrize(
    ("op", "value"),
    [("is null", 1), ("==", None), ("==", [1]), ("in", 1), ("in", []), ("like", "a%")],
)
def test_a_condition_that_means_nothing_is_refused(op, value):
    with pytest.raises(ValidationError):
        Condition.model_validate({"column": "n", "op": op, "value": value})


OF_ONE_TYPE = [
    (pa.decimal128(6, 2), [("n", ">", 9.99)], lambda n: n > 9.99),
    (pa.decimal128(6, 2), [("n", "==", 1.5)], lambda n: n == 1.5),
    (pa.decimal128(6, 2), [("n", "!=", 1.5)], lambda n: n != 1.5),
    (pa.decimal128(6, 2), [("n", "in", [1.5, 2, 3.003])], lambda n: n in {1.5, 2}),
    (pa.decimal128(6, 2), [("n", "not in", [1.5, 2, 3.003])], lambda n: n not in {1.5, 2}),
    (pa.decimal128(6, 2), [("n", "==", 1.505)], lambda n: n < 0),
    (pa.decimal128(6, 2), [("n", "!=", 1.505)], lambda n: n >= 0),
    (
        pa.decimal128(6, 2),
        [("n", ">=", 9.995), ("n", "<=", 19.505)],
        lambda n: 9.995 <= n <= 19.505,
    ),
    (pa.decimal128(6, 2), [("n", "<", 1_000_000), ("n", ">", -1_000_000)], lambda n: n >= 0),
    (pa.decimal128(6, 2), [("n", "<", -1_000_000.5)], lambda n: n < 0),
    (pa.decimal128(6, 2), [("n", ">=", 1e40)], lambda n: n < 0),
    (pa.int16(), [("n", "<", 100_000), ("n", ">=", 7)], lambda n: n >= 7),
    (pa.uint8(), [("n", ">", -1)], lambda n: n >= 0),
    (pa.float16(), [("n", ">", 1.5), ("n", "!=", 4.5)], lambda n: n > 1.5 and n != 4.5),
    (pa.float16(), [("n", "in", [1.5, 2])], lambda n: n in {1.5, 2}),
    (pa.float16(), [("n", "<", 100_000)], lambda n: n >= 0),
]


@pytest.mark.parametrize(
    ("kind", "conditions", "counts"), OF_ONE_TYPE, ids=[str(each[:2]) for each in OF_ONE_TYPE]
)
def test_numbers_of_any_type_are_compared_by_their_value(tmp_path, kind, conditions, counts):
    whole = pa.types.is_integer(kind)
    values = [n if whole else n / 2 for n in range(ROWS)]
    own = pa.array(
        [Decimal(str(each)) for each in values] if pa.types.is_decimal(kind) else values, kind
    )
    table = pa.table({"n": own, "m": range(ROWS)})
    found = filtered(table, spec_of("parquet", *conditions).filter)
    wanted = [n for n, value in enumerate(values) if counts(value)]
    assert found["m"].to_pylist() == wanted
    pq.write_table(table, tmp_path / "t.parquet")
    scanned = dataset.dataset(tmp_path / "t.parquet")
    kept = expression(spec_of("parquet", *conditions).filter, scanned.schema)
    assert scanned.to_table(filter=kept)["m"].to_pylist() == wanted


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d.%m.%Y 12:00", "%Y/%m/%d", "%b %d, %Y"])
@pytest.mark.parametrize("uri", ["t.csv", "t.parquet"])
def test_dates_in_text_are_not_ordered_by_their_letters(tmp_path, form, uri):
    days = [dt.date(2019, 1, 1) + dt.timedelta(days=5 * n) for n in range(ROWS)]
    words = [None, *(day.strftime(form) for day in days[1:])]
    whole = pa.table({"n": range(ROWS), "day": words, "y": [n % 2 for n in range(ROWS)]})
    pyarrow.csv.write_csv(whole, tmp_path / "t.csv")
    pq.write_table(
        whole.set_column(1, "day", whole["day"].dictionary_encode()), tmp_path / "t.parquet"
    )
    access = DataAccess((tmp_path,), tmp_path)
    condition = Condition(column="day", op=">=", value="2019-06-01")
    spec = FileData(source="file", uri=uri, target="y", filter=[condition])
    in_a_run = partial(loading.load, split=Split(), task=Task.CLASSIFICATION, access=access)
    for asked in (partial(load, access=access), in_a_run):
        with pytest.raises(InvalidData, match=r"such as '.*2019.*', which >= compares") as caught:
            asked(spec)
        assert caught.value.pointer == "/data/filter/0/value"


def test_text_in_the_order_of_time_is_ordered_by_a_date(tmp_path):
    words = [f"2026-01-{1 + n % 30:02} at noon" for n in range(ROWS)]
    for text in (words, [word[:10] for word in words], [word[:7] for word in words]):
        table = pa.table({"day": [*text, None, "?"]})
        found = filtered(table, [Condition(column="day", op="<", value="2026-01-16")])
        assert found["day"].to_pylist() == [each for each in text if each < "2026-01-16"]


@pytest.mark.parametrize("uri", ["one.parquet", "folder"])
def test_text_that_a_file_stores_as_a_view_can_be_filtered(tmp_path, uri):
    whole = table()
    text = pa.array(whole["name"].to_pylist(), pa.string_view())
    whole = whole.set_column(2, "name", text).append_column("raw", text.cast(pa.binary_view()))
    (tmp_path / "folder").mkdir()
    for start, path in ((0, "one.parquet"), (0, "folder/0.parquet"), (30, "folder/1.parquet")):
        part = whole if path == uri else whole.slice(start, 30)
        pq.write_table(part, tmp_path / path)
    access = DataAccess((tmp_path,), tmp_path)
    for condition, counts in (
        (Condition(column="name", op="==", value="n1"), lambda n: n % 4 == 1),
        (Condition(column="name", op="not in", value=["n1", "n2"]), lambda n: n % 4 in {0, 3}),
        (Condition(column="n", op=">", value=9), lambda n: n > 9),
        (Condition(column="name", op="is not null"), lambda n: n >= 0),
    ):
        spec = FileData(source="file", uri=uri, target="y", drop=["raw"], filter=[condition])
        assert numbers_in(load(spec, access)) == [n for n in range(ROWS) if counts(n)]
        assert filtered(whole, [condition])["n"].to_pylist() == numbers_in(load(spec, access))
        data = ScoredFileData(source="file", uri=uri, filter=[condition])
        request = ScoreRequest(model_uri="models:/m/1", data=data)
        with rows_of_table(request, Wanted(("n", "name"), (), None), access) as found:
            rows = [int(n) for each in found.slices() for n in each.x["n"]]
        assert rows == [n for n in range(ROWS) if counts(n)]


def test_a_test_table_is_filtered_too(access):
    data = load(spec_of("parquet", ("n", "<", 40), test_uri="one.csv"), access)
    assert numbers_in(data) == sorted([*range(40)] * 2)
    assert len(data.test.x) == 40


def test_a_scoring_reads_the_rows_that_count(access):
    wanted = [Condition(column="n", op=">=", value=50)]
    for uri in ("one.parquet", "one.csv", "parts", "texts"):
        data = ScoredFileData(source="file", uri=uri, filter=wanted)
        request = ScoreRequest(model_uri="models:/m/1", data=data)
        with rows_of_table(request, Wanted(("n",), ("name",), None), access) as found:
            rows = [int(n) for each in found.slices() for n in each.x["n"]]
        assert (found.total, sorted(rows)) == (10, [*range(50, 60)])


def test_mlflow_tells_filtered_tables_apart(access):
    digests = {
        dataset_input(load(spec_of(kind, *conditions), access)).dataset.digest
        for kind in ("delta", "iceberg")
        for conditions in ([], [("n", ">", 10)], [("n", ">", 20)])
    }
    assert len(digests) == 6
    assert all(len(each) <= 36 for each in digests)


@pytest.mark.parametrize("kind", ["parquet", "folder", "delta", "iceberg"])
def test_of_a_table_only_the_columns_that_are_asked_for_are_read(access, kind, monkeypatch):
    """The bytes of the others are gone."""
    root = access.roots[0]
    files = {
        "parquet": [root / "one.parquet"],
        "folder": [*(root / "parts").glob("*.parquet")],
        "delta": [*(root / "versions").glob("*.parquet")],
        "iceberg": [*(root / "warehouse").rglob("*.parquet")],
    }[kind]
    whole = {file: file.read_bytes() for file in files}
    try:
        for file in files:
            spoil(file, {"x", "flag", "day", "at"})
        spec = spec_of(kind, ("n", "<", 45), features=["n", "name"])
        assert numbers_in(load(spec, access)) == [*range(45)]
        with pytest.raises(Exception, match=r"."):
            load(spec_of(kind, features=["n", "x"]), access)
    finally:
        for file, data in whole.items():
            file.write_bytes(data)


def spoil(path: Path, names: set[str]) -> None:
    """Overwrite the pages of these columns."""
    metadata = pq.ParquetFile(path).metadata
    data = bytearray(path.read_bytes())
    for group in range(metadata.num_row_groups):
        for position in range(metadata.num_columns):
            column = metadata.row_group(group).column(position)
            if column.path_in_schema in names:
                start = column.dictionary_page_offset or column.data_page_offset
                data[start : start + column.total_compressed_size] = (
                    b"\xff" * column.total_compressed_size
                )
    path.write_bytes(data)


def test_the_filter_is_in_the_profile_as_json(access):
    data = load(spec_of("parquet", ("n", "in", [*range(20)])), access)
    assert json.loads(json.dumps(data.profile["filter"])) == [
        {"column": "n", "op": "in", "value": [*range(20)]}
    ]


def test_a_filtered_table_beyond_memory_has_the_rows_that_it_has_in_memory(tmp_path):
    rows = 300_000
    columns = {f"x{each}": pa.array(range(each, rows + each), pa.float64()) for each in range(10)}
    y = pa.array([each // 7 % 2 for each in range(rows)], pa.int64())
    pq.write_table(pa.table({**columns, "y": y}), tmp_path / "large.parquet")
    kept = Condition(column="x3", op=">=", value=30_003)
    spec = FileData(source="file", uri="large.parquet", target="y", filter=[kept])
    found = [
        loading.load(
            spec,
            Split(),
            task=Task.CLASSIFICATION,
            access=DataAccess((tmp_path,), tmp_path, memory_mb=memory_mb),
            needs_whole=None,
        )
        for memory_mb in (None, 40)
    ]
    assert [bool(each.beyond_memory) for each in found] == [False, True]
    assert found[0].digest == found[1].digest
    assert [each.profile["rows"] for each in found] == [270_000] * 2
