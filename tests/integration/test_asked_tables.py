"""Tables of databases and catalogs that change after a submit: what was read first, or settled at the submit, is read."""

import sqlite3
from contextlib import closing
from typing import Any

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from pyiceberg.catalog import load_catalog
from servers import Yard

BEFORE, AFTER = 200, 300
SECRET = "opens-sesame-42"


def orders(count: int) -> pa.Table:
    numbers = range(count)
    amounts = pa.array([float(each % 17) for each in numbers])
    return pa.table({"amount": amounts, "y": pa.array([each % 2 for each in numbers], pa.int64())})


def asked(**data: Any) -> dict[str, Any]:
    return {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 3},
        "data": {"target": "y", **data},
        "on_existing": "rerun",
    }


def ended(yard: Yard, request: dict[str, Any], **headers: str) -> dict[str, Any]:
    run = yard.ended(yard.submit(request, **headers)["run_id"])
    assert run["status"] == "FINISHED", run
    return run


def profile_of(yard: Yard, run: dict[str, Any]) -> dict[str, Any]:
    client = MlflowClient(yard.mlflow.url)
    artifacts = client.get_run(run["run_id"]).info.artifact_uri
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", yard.mlflow.url)
        return mlflow.artifacts.load_dict(f"{artifacts}/data_profile.json")


def rows_of(yard: Yard, *runs: dict[str, Any]) -> list[int]:
    return [profile_of(yard, each)["rows"] for each in runs]


def test_a_retry_of_a_query_reads_the_rows_of_the_first_attempt(shared_yard, connections):
    with closing(sqlite3.connect(connections.parent / "app.db")) as database:
        database.execute("CREATE TABLE orders (amount, y)")
        rows = [tuple(row.values()) for row in orders(BEFORE).to_pylist()]
        database.executemany("INSERT INTO orders VALUES (?, ?)", rows)
        database.commit()
        request = asked(source="sql", connection="app", query="SELECT * FROM orders")
        first = ended(shared_yard, request, idempotency_key="the query of today")
        database.execute("DELETE FROM orders WHERE amount > 10")
        database.commit()
    again = ended(shared_yard, request, idempotency_key="the query of today")
    newest = ended(shared_yard, request)
    assert again["attempt"] == 2
    assert again["data_version"] == first["data_version"] != newest["data_version"]
    told = rows_of(shared_yard, first, again, newest)
    assert told[:2] == [BEFORE, BEFORE]
    assert told[2] < BEFORE
    score = {
        "model_uri": first["model_uri"],
        "data": {**request["data"], "rows": first["data_version"]},
    }
    accepted = shared_yard.http.post("/score", json=score)
    assert accepted.status_code == 202, accepted.text
    assert shared_yard.ended(accepted.json()["run_id"])["progress"]["total"] == BEFORE


def test_duckdb_answers_within_the_limits_of_a_look(shared_yard, data_root):
    pq.write_table(orders(AFTER), data_root / "orders.parquet")
    query = "SELECT amount, amount * 2 AS twice, y FROM 'orders.parquet' WHERE amount < 10"
    run = ended(shared_yard, asked(source="sql", connection="files", query=query))
    assert profile_of(shared_yard, run)["sql"]["query"] == query
    refused = asked(
        source="sql", connection="files", query="SELECT * FROM read_text('/etc/passwd')"
    )
    answer = shared_yard.http.post("/train", json=refused)
    assert answer.status_code == 422
    assert "Permission Error" in answer.json()["errors"][0]["detail"]


def test_a_retry_reads_the_snapshot_of_the_first_submit(shared_yard, connections):
    home = connections.parent
    lake = load_catalog(
        "lake", type="sql", uri=f"sqlite:///{home}/catalog.db", warehouse=f"file://{home}/warehouse"
    )
    lake.create_namespace("shop")
    table = lake.create_table("shop.orders", schema=orders(1).schema)
    table.append(orders(BEFORE))
    request = asked(source="iceberg", catalog="lake", table="shop.orders")
    first = ended(shared_yard, request, idempotency_key="the lake of today")
    table.append(orders(AFTER - BEFORE))
    again = ended(shared_yard, request, idempotency_key="the lake of today")
    newest = ended(shared_yard, request)
    assert rows_of(shared_yard, first, again, newest) == [BEFORE, BEFORE, AFTER]
    assert [each["data_version"] for each in (first, again, newest)] == [
        *[str(table.snapshots()[0].snapshot_id)] * 2,
        str(table.snapshots()[1].snapshot_id),
    ]
    client = MlflowClient(shared_yard.mlflow.url)
    dataset = client.get_run(again["run_id"]).inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == (
        "lake.shop.orders",
        f"snapshot {first['data_version']}",
    )


def test_a_database_that_is_away_is_told_of_without_what_opens_it(shared_yard):
    request = asked(source="sql", connection="away", query="SELECT 1 AS y, 2 AS a")
    answer = shared_yard.http.post("/train", json=request)
    assert answer.status_code == 422
    assert "'away' cannot be reached" in answer.text
    assert SECRET not in answer.text
    home = shared_yard.work_dir.parent
    written = [*home.rglob("*.log"), *home.rglob("*.json")]
    assert written
    assert not any(SECRET in each.read_text(errors="replace") for each in written)
