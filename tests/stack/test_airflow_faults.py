"""Airflow's tasks wait while what they wait for, and Airflow's own parts, are replaced or killed."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from airflow_api import AirflowApi
from mlflow import MlflowClient
from pipelines import PIPELINES
from servers import until
from stack_access import (
    STACK,
    command,
    container,
    containers,
    docker,
    finished,
    held_in_their_first_round,
    inspected,
    times_begun,
    until_healthy,
)
from trainyard.client import TrainyardClient

Trainers = Mapping[str, TrainyardClient]
ROUNDS = {"n_estimators": 500, "early_stopping_rounds": None}
TRAINED: dict[str, dict[str, Any]] = {
    "xgboost_classification_pipeline": ROUNDS,
    "lightgbm_classification_pipeline": ROUNDS,
}
"""Those that would be over before they are held train for longer."""
SERVICES = {
    "xgboost": "boosting",
    "lightgbm": "boosting",
    "tensorflow": "tensorflow",
    "pytorch": "pytorch",
}
END_SECONDS = 600.0
"""How long six trainings at once may take to begin, or to end: minutes, where other work holds the cores."""


@pytest.fixture
def rebuilt() -> Iterator[Callable[[], None]]:
    """Rebuilds the PyTorch service as one of another commit; the image is as it was in the end, and so is the container."""
    service = "pytorch"
    first = inspected(service)
    tag = first["Config"]["Image"]
    yield lambda: command("make", f"rebuild-{service}", PYTORCH_COMMIT=uuid.uuid4().hex[:7])
    docker("tag", first["Image"], tag)
    command("scripts/compose.sh", "up", "--detach", "--no-build", "--no-deps", service)
    until_healthy(service)


@pytest.mark.usefixtures("digits")
def test_a_task_waits_on_while_its_trainer_is_rebuilt_and_the_others_keep_their_containers(
    trainers: Trainers,
    open_airflow: Callable[[], AirflowApi],
    mlflow: MlflowClient,
    rebuilt: Callable[[], None],
) -> None:
    dag_id = "pytorch_mnist_mlp_pipeline"
    airflow = open_airflow()
    before = containers()
    dag_run = airflow.trigger(dag_id, **{**PIPELINES[dag_id][1], "epochs": 200})
    airflow.in_state(dag_id, dag_run, "train", "deferred")
    until(lambda: training(trainers, airflow, dag_id, dag_run), "the run to train")
    rebuilt()
    after = containers()
    assert {name for name in before if before[name] != after[name]} == {"pytorch"}
    assert airflow.ended(dag_id, dag_run, END_SECONDS) == "success", airflow.log(
        dag_id, dag_run, "train"
    )
    run = trainers["pytorch"].get(airflow.xcom(dag_id, dag_run, "train")["run_id"])
    assert finished(trainers["pytorch"], run, mlflow).attempt == 1
    assert times_begun(run) == 2
    assert kept(mlflow, dag_id, dag_run) == {run.run_id: "FINISHED"}
    assert airflow.task(dag_id, dag_run, "train")["try_number"] == 1


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("digits")
def test_every_container_killed_in_turn_while_six_pipelines_train_costs_no_run_and_makes_none(
    trainers: Trainers, open_airflow: Callable[[], AirflowApi], mlflow: MlflowClient
) -> None:
    airflow = open_airflow()
    with held_in_their_first_round(**Counter(map(service_of, PIPELINES))):
        dag_runs = {
            dag_id: airflow.trigger(dag_id, **{**conf, **TRAINED.get(dag_id, {})})
            for dag_id, (_, conf) in PIPELINES.items()
        }
    for dag_id, dag_run in dag_runs.items():
        airflow.in_state(dag_id, dag_run, "train", "deferred")
    for name in STACK:
        docker("kill", container(name))
        # Docker takes that for an operator's wish, and leaves the container as it is.
        assert inspected(name)["State"]["Status"] == "exited"
        docker("start", container(name))
    until_healthy(*STACK)
    for dag_id, dag_run in dag_runs.items():
        assert airflow.ended(dag_id, dag_run, END_SECONDS) == "success", airflow.log(
            dag_id, dag_run, "train"
        )
        client = trainers[service_of(dag_id)]
        run = client.get(airflow.xcom(dag_id, dag_run, "train")["run_id"])
        assert finished(client, run, mlflow).attempt == 2
        assert kept(mlflow, dag_id, dag_run) == {run.run_id: "FINISHED"}


def service_of(dag_id: str) -> str:
    """The service that trains for the pipeline."""
    return SERVICES[dag_id.partition("_")[0]]


def training(trainers: Trainers, airflow: AirflowApi, dag_id: str, dag_run: str) -> bool:
    """Whether its training has come past its first round or epoch, with the end still to come."""
    run = trainers[service_of(dag_id)].get(airflow.xcom(dag_id, dag_run, "train", "run_id"))
    assert not run.status.ended, run
    return run.progress is not None and run.progress.done > 0


def kept(mlflow: MlflowClient, dag_id: str, dag_run: str) -> dict[str, str]:
    """The status of each run that MLflow has of the pipeline's run."""
    experiment = mlflow.get_experiment_by_name(dag_id)
    found = mlflow.search_runs([experiment.experiment_id], f"tags.`airflow.run_id` = '{dag_run}'")
    return {run.info.run_id: run.info.status for run in found}
