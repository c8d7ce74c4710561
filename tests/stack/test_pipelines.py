"""The DAGs that ship, triggered over Airflow's REST API and run by the Celery worker."""

import os
from collections.abc import Callable

import pytest
from airflow_api import AirflowApi
from mlflow import MlflowClient
from pipelines import PIPELINES
from servers import until

SOCKET = os.environ.get("DOCKER_SOCKET") == "1"
"""Whether Airflow's worker may start containers."""


@pytest.fixture(scope="session")
def triggered(digits: None, open_airflow: Callable[[], AirflowApi]) -> dict[str, str]:
    """The six, and two DAGs that train in other ways, in flight at the same time; the id of each one's DAG run."""
    airflow = open_airflow()
    runs = {dag_id: airflow.trigger(dag_id, **conf) for dag_id, (_, conf) in PIPELINES.items()}
    others = ("stock_http_operators", "docker_one_shot") if SOCKET else ("stock_http_operators",)
    return runs | {dag_id: airflow.trigger(dag_id) for dag_id in others}


def test_a_new_champion_is_scored_with(airflow: AirflowApi, triggered: dict[str, str]) -> None:
    """The pipeline's first champion in this stack starts the scoring; where there was one before, it is started by hand."""
    dag_id = "xgboost_classification_pipeline"
    assert airflow.ended(dag_id, triggered[dag_id]) == "success"
    dag_run = airflow.trigger("batch_scoring")
    assert airflow.ended("batch_scoring", dag_run) == "success", airflow.log(
        "batch_scoring", dag_run, "score"
    )
    assert airflow.xcom("batch_scoring", dag_run, "score")["rows"] > 0


@pytest.mark.parametrize("dag_id", PIPELINES)
def test_a_pipeline_finishes_and_mlflow_holds_what_it_trained(
    airflow: AirflowApi, mlflow: MlflowClient, triggered: dict[str, str], dag_id: str
) -> None:
    registered, conf = PIPELINES[dag_id]
    dag_run = triggered[dag_id]
    assert airflow.ended(dag_id, dag_run) == "success", airflow.log(dag_id, dag_run, "train")
    trained = airflow.xcom(dag_id, dag_run, "train")
    run = mlflow.get_run(trained["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["airflow.dag_id"] == dag_id
    name = "epochs" if "epochs" in conf else "n_estimators"
    assert run.data.params[name] == str(conf[name])
    tested = {name: value for name, value in trained["metrics"].items() if name.startswith("test_")}
    assert tested
    assert tested.items() <= run.data.metrics.items()
    assert {"training.log", "request.json"} <= {
        file.path for file in mlflow.list_artifacts(run.info.run_id)
    }
    version = mlflow.get_model_version_by_alias(registered, "challenger")
    assert version.run_id == run.info.run_id
    assert version.version == trained["registered"]["version"]
    assert mlflow.get_model_version_by_alias(registered, "champion")


def test_stock_operators_train(
    airflow: AirflowApi, mlflow: MlflowClient, triggered: dict[str, str]
) -> None:
    dag_run = triggered["stock_http_operators"]
    assert airflow.ended("stock_http_operators", dag_run) == "success"
    for group in ("deferrable", "blocking"):
        run_id = airflow.xcom("stock_http_operators", dag_run, f"{group}.submit")
        assert mlflow.get_run(run_id).info.status == "FINISHED"


@pytest.mark.skipif(
    not SOCKET,
    reason="the worker reaches no Docker engine: make up DOCKER_SOCKET=1, and the same for these tests",
)
def test_the_one_shot_container_trains(
    airflow: AirflowApi, mlflow: MlflowClient, triggered: dict[str, str]
) -> None:
    dag_run = triggered["docker_one_shot"]
    assert airflow.ended("docker_one_shot", dag_run) == "success", airflow.log(
        "docker_one_shot", dag_run, "train"
    )
    result = airflow.xcom("docker_one_shot", dag_run, "result")
    assert mlflow.get_run(result["run_id"]).info.status == "FINISHED"


def test_the_worker_waits_for_no_training(airflow: AirflowApi, triggered: dict[str, str]) -> None:
    dag_id = "pytorch_mnist_cnn_pipeline"
    assert airflow.ended(dag_id, triggered[dag_id]) == "success"
    assert until(
        lambda: "in the triggerer" in airflow.log(dag_id, triggered[dag_id], "train"),
        "the task's log",
    )
