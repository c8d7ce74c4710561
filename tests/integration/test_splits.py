"""Rows divided by a column, through a real service: what trains, what is logged, and what is refused."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers import WEB, Yard

FIRST = date(2024, 1, 1)
DAYS = 100


@pytest.fixture(scope="module")
def table(data_root: Path) -> str:
    """Ten rows a day in no order of time; the target is the day's number, which no tree can extrapolate."""
    days = np.random.default_rng(0).permutation(np.repeat(np.arange(DAYS), 10))
    rows = [f"{day},{FIRST + timedelta(days=int(day))},{day}\n" for day in days]
    (data_root / "days.csv").write_text("number,when,y\n" + "".join(rows))
    return "days.csv"


def request(table: str, **split: Any) -> dict[str, Any]:
    return {
        "model": "xgboost_regressor",
        "params": {"n_estimators": 50, "learning_rate": 0.3},
        "data": {"source": "file", "uri": table, "target": "y", "drop": ["when"]},
        "split": split,
        "experiment": "splits",
    }


def test_a_run_by_time_trains_on_the_oldest_rows_and_is_tested_on_the_newest(
    shared_yard: Yard, table: str
) -> None:
    asked = request(table, by="time", column="when")
    run = shared_yard.ended(shared_yard.submit(asked)["run_id"])
    assert run["status"] == "FINISHED", run
    newest_trained, tested = 69, np.arange(80, DAYS)
    least = float((tested - newest_trained).mean())
    assert run["metrics"]["test_mean_absolute_error"] >= least - 0.5
    at_random = shared_yard.ended(shared_yard.submit(request(table))["run_id"])
    assert at_random["metrics"]["test_mean_absolute_error"] < 1

    profile = artifact(shared_yard, run, "data_profile.json")
    assert profile["parts"] == {"train": 700, "validation": 100, "test": 200}
    assert profile["split"] == {
        "by": "time",
        "column": "when",
        "train_from": "2024-01-01",
        "train_until": "2024-03-10",
        "validation_from": "2024-03-11",
        "validation_until": "2024-03-20",
        "test_from": "2024-03-21",
        "test_until": "2024-04-09",
    }
    assert list(profile["columns"]) == ["number"]
    assert json.loads(tag(shared_yard, run, "trainyard.split")) == {
        **asked["split"],
        "test_size": 0.2,
        "validation_size": 0.1,
        "seed": 42,
    }
    assert tag(shared_yard, at_random, "trainyard.split") == (
        '{"test_size":0.2,"validation_size":0.1,"stratify":true,"seed":42}'
    )


def test_a_column_that_divides_nothing_is_refused_at_submit(shared_yard: Yard, table: str) -> None:
    answer = shared_yard.http.post("/train", json=request(table, by="time", column="wen"))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/split/column", "detail": "'wen' is not a column; did you mean 'when'?"}
    ]


def test_a_builtin_table_is_divided_at_random_alone(shared_yard: Yard) -> None:
    asked = {
        "model": "xgboost_classifier",
        "data": {"source": "builtin", "name": "iris"},
        "split": {"by": "group", "column": "species"},
    }
    answer = shared_yard.http.post("/train", json=asked)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/split/by"]


def artifact(yard: Yard, run: dict[str, Any], path: str) -> Any:
    answer = WEB.get(
        f"{yard.mlflow.url}/get-artifact",
        params={"run_id": run["run_id"], "path": path},
        timeout=30,
    )
    return answer.raise_for_status().json()


def tag(yard: Yard, run: dict[str, Any], name: str) -> str:
    answer = WEB.get(
        f"{yard.mlflow.url}/api/2.0/mlflow/runs/get",
        params={"run_id": run["run_id"]},
        timeout=30,
    )
    tags = answer.raise_for_status().json()["run"]["data"]["tags"]
    return {each["key"]: each["value"] for each in tags}[name]
