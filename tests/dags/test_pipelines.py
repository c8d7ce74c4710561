"""The DAGs that ship, run in a real Airflow against real services."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from airflow_lab import Airflow
from pipelines import PIPELINES, write_digits
from servers import WEB, Server, Yard, open_yard, tidied
from trainyard.contract import AIRFLOW_TASK


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with scikit-learn's digits as images."""
    root = tmp_path_factory.mktemp("images")
    write_digits(root)
    return root


@pytest.fixture(scope="module")
def yards(
    trainers: Yard,
    mlflow_server: Server,
    images: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Yard]]:
    """The three services."""
    opened = {
        name: open_yard(
            mlflow_server,
            tmp_path_factory.mktemp(name),
            name,
            TRAINYARD_QUEUE="50",
            TRAINYARD_DATA_ROOTS=str(images),
        )
        for name in ("tensorflow", "pytorch")
    }
    yield {
        "boosting": tidied(trainers),
        **{name: next(each) for name, each in opened.items()},
    }
    for each in opened.values():
        next(each, None)


@pytest.fixture(scope="module")
def addresses(yards: dict[str, Yard], mlflow_server: Server) -> dict[str, str]:
    return {**{name: yard.service.url for name, yard in yards.items()}, "mlflow": mlflow_server.url}


@pytest.fixture(scope="module")
def home(addresses: dict[str, str], quick_disk: Path) -> Airflow:
    """An Airflow of which nothing runs but `airflow dags test`."""
    # No scheduler, so nothing that a deferred task has to wait out.
    return Airflow.make(
        quick_disk / "unscheduled", addresses, AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="1"
    )


@pytest.fixture(scope="module")
def tested(home: Airflow) -> Iterator[Callable[..., str]]:
    """Runs a DAG with a conf by `airflow dags test`, and gives what was said of it."""
    with home.commands() as run:

        def test(dag_id: str, *, code: int = 0, **conf: Any) -> str:
            return run("dags", "test", dag_id, "--conf", json.dumps(conf), code=code)

        yield test


@pytest.fixture(scope="module")
def ran(tested: Callable[..., str]) -> Callable[[str], str]:
    """Runs a pipeline, the first time that it is asked to, and gives what was said of it."""

    @cache
    def run(dag_id: str) -> str:
        return tested(dag_id, **PIPELINES[dag_id][1])

    return run


def xcom(home: Airflow, dag_id: str, task_id: str, key: str = "return_value") -> Any:
    """What the newest run of a task gave, out of Airflow's database."""
    query = "select cast(value as text) from xcom where dag_id = ? and task_id = ? and key = ? order by timestamp desc limit 1"
    with sqlite3.connect(home.home / "airflow.db") as database:
        [value] = database.execute(query, (dag_id, task_id, key)).fetchone()
    return json.loads(value)


def mlflow(server: Server, call: str, **params: str) -> dict[str, Any]:
    return dict(
        WEB.get(f"{server.url}/api/2.0/mlflow/{call}", params=params, timeout=30)
        .raise_for_status()
        .json()
    )


@pytest.mark.parametrize("dag_id", PIPELINES)
def test_a_pipeline_trains_registers_and_moves_the_champion(
    home: Airflow, ran: Callable[[str], str], mlflow_server: Server, dag_id: str
) -> None:
    registered = PIPELINES[dag_id][0]
    assert "> successful" in ran(dag_id)
    trained = xcom(home, dag_id, "train")
    assert set(trained) == {"run_id", "status", "model_uri", "registered", "metrics"}
    assert xcom(home, dag_id, "train", "run_id") == trained["run_id"]
    run = mlflow(mlflow_server, "runs/get", run_id=trained["run_id"])["run"]
    assert run["info"]["status"] == "FINISHED"
    assert {"key": "airflow.dag_id", "value": dag_id} in run["data"]["tags"]
    tags = {each["key"]: each["value"] for each in run["data"]["tags"]}
    assert f"/dags/{dag_id}/runs/" in tags[AIRFLOW_TASK]
    assert tags[AIRFLOW_TASK].endswith("/tasks/train")
    champion = mlflow(mlflow_server, "registered-models/alias", name=registered, alias="champion")[
        "model_version"
    ]
    assert champion["run_id"] == trained["run_id"]
    assert trained["registered"]["version"] == champion["version"]
    with sqlite3.connect(home.home / "airflow.db") as database:
        query = "select event.extra from asset_event event join asset on asset.id = event.asset_id where asset.name = ? and event.source_task_id = 'promote'"
        events = database.execute(query, (f"champion of {registered}",)).fetchall()
    assert [json.loads(extra)["version"] for [extra] in events] == [str(champion["version"])]


def test_a_model_below_the_gate_is_not_promoted(
    tested: Callable[..., str], ran: Callable[[str], str], mlflow_server: Server
) -> None:
    dag_id = "lightgbm_classification_pipeline"
    registered = PIPELINES[dag_id][0]
    ran(dag_id)
    before = mlflow(mlflow_server, "registered-models/alias", name=registered, alias="champion")[
        "model_version"
    ]
    said = tested(dag_id, n_estimators=2, minimum=1.0, code=1)
    assert "1.0 is the least that may go on" in said
    after = mlflow(mlflow_server, "registered-models/alias", name=registered, alias="champion")[
        "model_version"
    ]
    assert after["version"] == before["version"]


def test_the_winner_of_a_comparison_is_promoted(
    home: Airflow, tested: Callable[..., str], mlflow_server: Server
) -> None:
    tested("compare_models", n_estimators=30)
    runs = [xcom(home, "compare_models", name) for name in ("xgboost", "lightgbm")]
    best = max(runs, key=lambda run: run["metrics"]["test_roc_auc"])
    champion = mlflow(
        mlflow_server, "registered-models/alias", name="best-classifier", alias="champion"
    )["model_version"]
    assert champion["run_id"] == best["run_id"]


def test_a_search_is_one_task_that_gives_what_it_found(
    home: Airflow, tested: Callable[..., str], mlflow_server: Server
) -> None:
    said = tested("search", trials=3)
    best, trials = (xcom(home, "search", "search", key) for key in ("best_params", "trials"))
    assert trials == 3
    assert "max_depth" in best
    assert f"best of 3 trials: {best}" in said
    champion = mlflow(
        mlflow_server, "registered-models/alias", name="searched-classifier", alias="champion"
    )["model_version"]
    assert champion["run_id"] == xcom(home, "search", "search", "run_id")


def test_stock_operators_train_deferrable_and_not(
    home: Airflow, tested: Callable[..., str], mlflow_server: Server
) -> None:
    tested("stock_http_operators")
    run_ids = [
        xcom(home, "stock_http_operators", f"{group}.submit")
        for group in ("deferrable", "blocking")
    ]
    assert len(set(run_ids)) == 2
    for run_id, group in zip(run_ids, ("deferrable", "blocking"), strict=True):
        assert (
            mlflow(mlflow_server, "runs/get", run_id=run_id)["run"]["info"]["status"] == "FINISHED"
        )
        assert xcom(home, "stock_http_operators", f"{group}.finished").startswith("models:/")


def test_mapping_trains_one_run_for_each_pair(home: Airflow, tested: Callable[..., str]) -> None:
    tested("train_many", datasets=["wine", "iris"], max_depths=[2, 3])
    accuracies = xcom(home, "train_many", "summary")
    assert len(accuracies) == 4
    assert min(accuracies.values()) > 0.8
