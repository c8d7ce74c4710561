"""A pipeline that ships is scheduled each day, and what comes after it by the champion's event."""

from typing import Any

import pytest
from airflow_lab import Airflow
from servers import WEB, Server, until

BUSY_SECONDS = 400.0
"""How long a step may take: minutes, where other work holds the cores."""


@pytest.fixture(scope="module")
def scheduled(airflow: Airflow) -> Airflow:
    """The Airflow, with one pipeline that ships and what comes after it turned on."""
    airflow.api.turn_on("batch_scoring", "xgboost_classification_pipeline")
    return airflow


@pytest.mark.timeout(1800)
def test_a_new_champion_is_scored_with_and_no_other(
    scheduled: Airflow, mlflow_server: Server
) -> None:
    # Turned on, it is scheduled once for the day that is over.
    first = until(lambda: scheduled.api.newest("xgboost_classification_pipeline"), "the daily run")[
        "dag_run_id"
    ]
    assert scheduled.api.ended("xgboost_classification_pipeline", first, BUSY_SECONDS) == "success"
    champion = scheduled.api.xcom("xgboost_classification_pipeline", first, "promote")
    scoring = until(
        lambda: scheduled.api.newest("batch_scoring"),
        "the champion's event to start the scoring",
        BUSY_SECONDS,
    )
    assert scoring["run_type"] == "asset_triggered"
    assert scheduled.api.ended("batch_scoring", scoring["dag_run_id"], BUSY_SECONDS) == "success"
    scored = scheduled.api.xcom("batch_scoring", scoring["dag_run_id"], "score")
    assert scored["model_uri"] == f"models:/{champion['name']}/{champion['version']}"
    assert scored["rows"] == 569
    assert scored["metrics"]["scored_roc_auc"] > 0.9
    listed = WEB.get(
        f"{mlflow_server.url}/api/2.0/mlflow/artifacts/list",
        params={"run_id": scored["run_id"]},
        timeout=30,
    )
    assert "predictions.parquet" in [each["path"] for each in listed.json()["files"]]

    weaker = scheduled.api.trigger("xgboost_classification_pipeline", n_estimators=1, max_depth=1)
    assert scheduled.api.ended("xgboost_classification_pipeline", weaker, BUSY_SECONDS) == "success"
    assert (
        scheduled.api.task("xgboost_classification_pipeline", weaker, "promote")["state"]
        == "skipped"
    )
    assert scheduled.api.newest("batch_scoring")["dag_run_id"] == scoring["dag_run_id"]


@pytest.mark.parametrize(
    "conf, named",
    [
        ({"max_depth": 65}, "max_depth"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"n_estimators": 0}, "n_estimators"),
    ],
)
def test_a_bad_param_is_refused_in_the_form_before_anything_runs(
    scheduled: Airflow, conf: dict[str, Any], named: str
) -> None:
    answer = scheduled.api.http.post(
        "/dags/xgboost_classification_pipeline/dagRuns", json={"logical_date": None, "conf": conf}
    )
    assert answer.status_code == 400
    assert named in answer.text
