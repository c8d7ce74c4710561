"""A Delta table that changes after a submit: the run, whatever becomes of it, reads the version of then."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from mlflow import MlflowClient
from servers import Yard, ticking, until

BEFORE, AFTER = 200, 300


def orders(count: int) -> pa.Table:
    numbers = range(count)
    return pa.table(
        {"amount": [float(each % 17) for each in numbers], "y": [each % 2 for each in numbers]}
    )


def changed(path: Path) -> None:
    """The second version of the table: other rows, and more."""
    write_deltalake(path, orders(AFTER), mode="overwrite")


def asked(uri: str, **changes: Any) -> dict[str, Any]:
    return {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 3},
        "data": {"source": "file", "uri": uri, "target": "y"},
        **changes,
    }


def ended(yard: Yard, request: dict[str, Any], **headers: str) -> dict[str, Any]:
    run = yard.ended(yard.submit(request, **headers)["run_id"])
    assert run["status"] == "FINISHED", run
    return run


@pytest.fixture
def client(shared_yard: Yard) -> Iterator[MlflowClient]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(shared_yard.mlflow.url)
    yield MlflowClient()
    mlflow.set_tracking_uri(before)


def rows_of(client: MlflowClient, run: dict[str, Any]) -> int:
    """The rows that the run read, as its data profile says."""
    with_profile = client.get_run(run["run_id"]).info.artifact_uri
    return int(mlflow.artifacts.load_dict(f"{with_profile}/data_profile.json")["rows"])


def test_a_retry_reads_the_version_of_the_first_submit_and_a_new_run_the_newest(
    shared_yard: Yard, data_root: Path, client: MlflowClient
) -> None:
    write_deltalake(data_root / "orders", orders(BEFORE))
    request = asked("orders", on_existing="rerun")
    first = ended(shared_yard, request, idempotency_key="orders of today")
    changed(data_root / "orders")
    again = ended(shared_yard, request, idempotency_key="orders of today")
    newest = ended(shared_yard, request)
    assert [each["data_version"] for each in (first, again, newest)] == [0, 0, 1]
    assert [rows_of(client, each) for each in (first, again, newest)] == [BEFORE, BEFORE, AFTER]
    assert again["attempt"] == 2
    dataset = client.get_run(again["run_id"]).inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("orders", "delta version 0")

    timed = asked("orders", data={"source": "delta", "uri": "orders", "target": "y", "version": 9})
    answer = shared_yard.http.post("/train", json=timed)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/data/version", "detail": "'orders' has no version 9; its versions are 0 to 1"}
    ]

    for data, rows in (
        ({"source": "delta", "uri": "orders", "version": 0}, BEFORE),
        ({"source": "file", "uri": "orders"}, AFTER),
    ):
        score = {"model_uri": first["model_uri"], "data": data}
        accepted = shared_yard.http.post("/score", json=score)
        assert accepted.status_code == 202, accepted.text
        scored = shared_yard.ended(accepted.json()["run_id"])
        assert (scored["status"], scored["data_version"]) == ("FINISHED", int(rows == AFTER))
        assert scored["progress"]["total"] == rows


def test_a_run_whose_process_died_goes_on_with_the_version_that_it_began_with(
    shared_yard: Yard, data_root: Path, client: MlflowClient
) -> None:
    write_deltalake(data_root / "calls", orders(BEFORE))
    data = {"source": "file", "uri": "calls", "target": "y"}
    run_id = shared_yard.submit(ticking(data=data, max_attempts=2))["run_id"]
    shared_yard.in_phase(run_id, "training")
    changed(data_root / "calls")
    first = shared_yard.pid(run_id)
    os.kill(first, signal.SIGKILL)
    until(lambda: shared_yard.get(run_id)["attempt"] == 2, "the second attempt")
    run = shared_yard.in_phase(run_id, "training")
    assert shared_yard.pid(run_id) != first
    assert run["data_version"] == 0
    shared_yard.cancel(run_id)
    read = [each.dataset for each in client.get_run(run_id).inputs.dataset_inputs]
    assert {(each.name, each.digest) for each in read} == {("calls", "delta version 0")}
    assert {json.loads(each.profile)["rows"] for each in read} == {BEFORE}
