"""Iceberg tables, made by pyiceberg: the rows of one snapshot, with its deletes and under its schema."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError
from pyiceberg.catalog import load_catalog
from pyiceberg.types import DoubleType
from trainyard.contract import (
    Condition,
    IcebergData,
    ScoredIcebergData,
    ScoreRequest,
    Split,
    Task,
    at_version,
)
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.scoring.tables import Wanted, rows_of_table
from trainyard.datasets.sources.connections import without_secrets
from trainyard.datasets.tables.head import column_names
from trainyard.datasets.tables.iceberg import Snapshot
from trainyard.errors import InvalidData
from trainyard.worker.logged_dataset import dataset_input

ROWS = 60


def rows(start: int, **columns: Any) -> pa.Table:
    numbers = range(start, start + ROWS)
    table = {
        "row": pa.array(numbers, pa.int64()),
        "place": [f"p{each % 3}" for each in numbers],
        "y": pa.array([each % 2 for each in numbers], pa.int64()),
    }
    return pa.table({**table, **columns})


class Lake:
    """Rows 0 to 59; then without those below 20; then 60 to 119 with a column renamed and one more."""

    def __init__(self, root: Path) -> None:
        self.properties = {
            "type": "sql",
            "uri": f"sqlite:///{root}/catalog.db",
            "warehouse": f"file://{root}/warehouse",
        }
        catalog = load_catalog("lake", **self.properties)
        catalog.create_namespace("shop")
        catalog.create_table("shop.empty", schema=rows(0).schema)
        table = catalog.create_table("shop.sales", schema=rows(0).schema)
        table.append(rows(0))
        table.delete("row < 20")
        with table.update_schema() as update:
            update.rename_column("place", "region")
            update.add_column("late", DoubleType())
        late = pa.array([each / 2 for each in range(ROWS)])
        table.append(rows(ROWS, late=late).rename_columns(["row", "region", "y", "late"]))
        price = pa.array([Decimal(each) / 2 for each in range(ROWS)], pa.decimal128(6, 2))
        prices = rows(0, price=price)
        catalog.create_table("shop.prices", schema=prices.schema).append(prices)
        self.snapshots = [each.snapshot_id for each in table.snapshots()]
        table.manage_snapshots().create_tag(self.snapshots[0], "first").commit()
        lines = "\n".join(f'{name} = "{value}"' for name, value in self.properties.items())
        file = root / "connections.toml"
        gone = '[iceberg.gone]\ntype = "rest"\nuri = "http://127.0.0.1:1"\ntoken = "opens-it"\n'
        file.write_text(f"[iceberg.lake]\n{lines}\n{gone}")
        self.access = DataAccess((root,), root, connections_file=file)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(tmp_path_factory.mktemp("lake"))


def asked(**changes: Any) -> IcebergData:
    fields = {"catalog": "lake", "table": "shop.sales", "target": "y", **changes}
    return IcebergData(source="iceberg", **fields)


def looked_at(spec: IcebergData, lake: Lake) -> Any:
    return loading.inspect(
        spec, task=Task.CLASSIFICATION, kinds=("table",), access=lake.access, split=Split()
    )


def read(spec: IcebergData, lake: Lake) -> dict[int, dict[str, Any]]:
    pinned = at_version(spec, looked_at(spec, lake))
    data = loading.load(pinned, Split(), task=Task.CLASSIFICATION, access=lake.access)
    return {
        row["row"]: row
        for part in (data.train, data.validation, data.test)
        for row in part.x.to_dict("records")
    }


def test_a_snapshot_has_its_own_rows_and_no_deleted_ones(lake):
    assert sorted(read(asked(ref="first"), lake)) == [*range(60)]
    assert sorted(read(asked(snapshot_id=lake.snapshots[1]), lake)) == [*range(20, 60)]
    for newest in (asked(), asked(ref="main"), asked(snapshot_id=lake.snapshots[-1])):
        assert sorted(read(newest, lake)) == [*range(20, 120)]
        assert looked_at(newest, lake) == str(lake.snapshots[-1])


def test_columns_are_those_of_the_snapshot(lake):
    newest, first = read(asked(), lake), read(asked(ref="first"), lake)
    assert newest[69]["late"] == 4.5
    assert newest[30]["late"] != newest[30]["late"]
    assert newest[30]["region"] == "p0"
    assert set(first[30]) == {"row", "place"}


def test_the_snapshot_is_in_the_profile_and_in_what_mlflow_calls_the_data_set(lake):
    spec = asked(snapshot_id=lake.snapshots[0])
    data = loading.load(spec, Split(), task=Task.CLASSIFICATION, access=lake.access)
    snapshot = str(lake.snapshots[0])
    assert data.profile["iceberg"] == {
        "catalog": "lake",
        "table": "shop.sales",
        "snapshot_id": snapshot,
    }
    dataset = dataset_input(data).dataset
    assert (dataset.name, dataset.digest) == ("lake.shop.sales", f"snapshot {snapshot}")


def test_a_scoring_streams_the_rows_of_its_snapshot(lake):
    data = ScoredIcebergData(source="iceberg", catalog="lake", table="shop.sales", ref="first")
    version, names = column_names(data, lake.access)
    assert (version, names) == (str(lake.snapshots[0]), ["row", "place", "y"])
    request = ScoreRequest(model_uri="models:/m/1", data=data)
    with rows_of_table(request, Wanted(("row",), ("place",), None), lake.access) as found:
        slices = list(found.slices())
    assert sorted(row for each in slices for row in each.x["row"]) == [*range(60)]
    assert slices[0].kept.column_names == ["place"]


@pytest.mark.parametrize(
    ("op", "value", "counts"),
    [
        (">", 9.99, lambda n: n > 9.99),
        (">=", 10.005, lambda n: n > 10),
        ("<=", 10.005, lambda n: n <= 10),
        ("<", 10.5, lambda n: n < 10.5),
        ("==", 1.5, lambda n: n == 1.5),
        ("in", [1.5, 2, 3.003], lambda n: n in {1.5, 2}),
        ("not in", [1.5, 3.003], lambda n: n != 1.5),
        ("!=", 3.003, lambda n: n >= 0),
        ("==", 3.003, lambda n: n < 0),
        ("<", 1e7, lambda n: n >= 0),
        (">", 1e7, lambda n: n < 0),
        (">", -1e7, lambda n: n >= 0),
        ("<=", -1e7, lambda n: n < 0),
    ],
)
def test_decimals_are_compared_with_fractions(lake, op, value, counts):
    spec = asked(table="shop.prices", filter=[Condition(column="price", op=op, value=value)])
    snapshot = Snapshot(spec, lake.access)
    found = [n for each in snapshot.batches(["row"], spec.filter) for n in each["row"].to_pylist()]
    assert found == [n for n in range(ROWS) if counts(n / 2)]
    assert snapshot.first_rows(["row"])["row"].to_pylist() == found


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ref": "dev"}, "/data/ref: 'lake.shop.sales' has no branch or tag 'dev'; it has"),
        ({"snapshot_id": 7}, "/data/snapshot_id: 'lake.shop.sales' has no snapshot 7"),
        ({"table": "shop.none"}, "/data/table: the catalog 'lake' has no table 'shop.none'"),
        ({"table": "none.none"}, "/data/table: the catalog 'lake' has no table 'none.none'"),
        ({"table": "shop.empty"}, "/data/table: 'lake.shop.empty' has no snapshot"),
        ({"catalog": "lak"}, "/data/catalog: 'lak' is not known to this service; did you mean"),
        ({"catalog": "gone"}, "/data/table: 'gone.shop.sales' cannot be read"),
        ({"target": "z"}, "/data/target: 'z' is not a column"),
    ],
)
def test_what_is_not_there_is_refused_by_name(lake, changes, why):
    with pytest.raises(InvalidData) as caught:
        looked_at(asked(**changes), lake)
    said = f"{caught.value.pointer}: {caught.value.detail}"
    assert said.startswith(why)
    assert "opens-it" not in said


def test_a_request_says_one_snapshot():
    with pytest.raises(ValidationError, match="leave one of them out"):
        asked(ref="main", snapshot_id=1)


def test_what_opens_a_catalog_is_taken_out_of_any_text():
    properties = {
        "type": "sql",
        "uri": "postgresql+psycopg2://user:p%40ss-w@host/lake",
        "s3.secret-access-key": "AKIA-secret",
    }
    text = "cannot reach postgresql+psycopg2://user:p%40ss-w@host/lake as p@ss-w with AKIA-secret"
    assert without_secrets(text, properties) == "cannot reach … as … with …"
