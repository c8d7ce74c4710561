"""The DAGs that ship, triggered over Airflow's REST API and run by the Celery worker."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow_api import AirflowApi
from mlflow import MlflowClient
from pipelines import PIPELINES, write_digits
from servers import ROOT, until
from stack_access import STACK, container, docker, setting, until_healthy


@pytest.fixture(scope="session")
def _digits() -> Iterator[None]:
    """Images in the folder that the trainers read."""
    folder = ROOT / Path(setting("DATA_PATH") or "data")
    there = folder / "digits.npz"
    had = there.exists()
    if not had:
        write_digits(folder)
        there.chmod(0o644)
    yield
    if not had:
        there.unlink()


@pytest.fixture(scope="session")
def triggered(_digits: None, open_airflow: Callable[[], AirflowApi]) -> dict[str, str]:
    """All six, in flight at the same time; the id of each one's DAG run."""
    airflow = open_airflow()
    return {dag_id: airflow.trigger(dag_id, **conf) for dag_id, (_, conf) in PIPELINES.items()}


@pytest.mark.parametrize("dag_id", PIPELINES)
def test_a_pipeline_finishes_and_mlflow_holds_what_it_trained(airflow: AirflowApi, mlflow: MlflowClient, triggered: dict[str, str], dag_id: str) -> None:
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
    assert {"training.log", "request.json"} <= {file.path for file in mlflow.list_artifacts(run.info.run_id)}
    version = mlflow.get_model_version_by_alias(registered, "challenger")
    assert version.run_id == run.info.run_id
    assert version.version == trained["registered"]["version"]
    assert mlflow.get_model_version_by_alias(registered, "champion")


def test_stock_operators_train(airflow: AirflowApi, mlflow: MlflowClient) -> None:
    dag_run = airflow.trigger("stock_http_operators")
    assert airflow.ended("stock_http_operators", dag_run) == "success"
    for group in ("deferrable", "blocking"):
        run_id = airflow.xcom("stock_http_operators", dag_run, f"{group}.submit")
        assert mlflow.get_run(run_id).info.status == "FINISHED"


def test_the_one_shot_container_trains(airflow: AirflowApi, mlflow: MlflowClient) -> None:
    if os.environ.get("DOCKER_SOCKET") != "1":
        pytest.skip("the worker reaches no Docker engine: make up DOCKER_SOCKET=1, and the same for these tests")
    dag_run = airflow.trigger("docker_one_shot")
    assert airflow.ended("docker_one_shot", dag_run) == "success", airflow.log("docker_one_shot", dag_run, "train")
    result = airflow.xcom("docker_one_shot", dag_run, "result")
    assert mlflow.get_run(result["run_id"]).info.status == "FINISHED"


def test_a_new_champion_is_scored_with(airflow: AirflowApi, triggered: dict[str, str]) -> None:
    """The pipeline's first champion in this stack starts the scoring; where there was one before, it is started by hand."""
    assert airflow.ended("xgboost_classification_pipeline", triggered["xgboost_classification_pipeline"]) == "success"
    dag_run = airflow.trigger("batch_scoring")
    assert airflow.ended("batch_scoring", dag_run) == "success", airflow.log("batch_scoring", dag_run, "score")
    assert airflow.xcom("batch_scoring", dag_run, "score")["rows"] > 0


def test_the_worker_waits_for_no_training(airflow: AirflowApi, triggered: dict[str, str]) -> None:
    dag_id = "pytorch_mnist_cnn_pipeline"
    assert airflow.ended(dag_id, triggered[dag_id]) == "success"
    assert until(lambda: "in the triggerer" in airflow.log(dag_id, triggered[dag_id], "train"), "the task's log")


LONG = {
    "xgboost_classification_pipeline": {"n_estimators": 20_000, "early_stopping_rounds": None},
    "lightgbm_classification_pipeline": {"n_estimators": 5_000, "early_stopping_rounds": None},
    "tensorflow_mnist_mlp_pipeline": {"epochs": 150},
    "tensorflow_mnist_cnn_pipeline": {"epochs": 60},
    "pytorch_mnist_mlp_pipeline": {"epochs": 600},
    "pytorch_mnist_cnn_pipeline": {"epochs": 150},
}


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("_digits")
def test_every_container_killed_in_turn_while_six_pipelines_train_costs_no_run_and_makes_none(
    open_airflow: Callable[[], AirflowApi], mlflow: MlflowClient
) -> None:
    airflow = open_airflow()
    dag_runs = {dag_id: airflow.trigger(dag_id, **{**conf, **LONG[dag_id]}) for dag_id, (_, conf) in PIPELINES.items()}
    for dag_id, dag_run in dag_runs.items():
        until(lambda dag_id=dag_id, dag_run=dag_run: airflow.task_states(dag_id, dag_run, "train") == ["deferred"], f"{dag_id} to wait", 120)
    for name in STACK:
        docker("kill", container(name))
        docker("start", container(name))
    until_healthy(*STACK)
    for dag_id, dag_run in dag_runs.items():
        assert airflow.ended(dag_id, dag_run, 900) == "success", airflow.log(dag_id, dag_run, "train")
        found = mlflow.search_runs(
            [mlflow.get_experiment_by_name(dag_id).experiment_id], f"tags.`airflow.run_id` = '{dag_run}'"
        )
        assert [run.info.status for run in found] == ["FINISHED"]
        assert found[0].info.run_id == airflow.xcom(dag_id, dag_run, "train")["run_id"]
