"""Each Compose file by itself: a project of its own beside the stack, of the same images, gone afterwards."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from airflow_api import AirflowApi, logged_in
from mlflow import MlflowClient
from servers import free_port
from stack_access import AIRFLOW, command, docker, request_for, setting
from trainyard.client import TrainyardClient

Compose = Callable[..., str]


@pytest.fixture
def name() -> str:
    """Of a project that nobody else uses."""
    return f"trainyard-alone-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def trainers_alone(name: str) -> Iterator[Compose]:
    yield from alone("docker-compose.trainers.yml", name)


@pytest.fixture
def platform_alone(name: str) -> Iterator[Compose]:
    yield from alone("docker-compose-mlops.yml", name)


def alone(file: str, name: str) -> Iterator[Compose]:
    """Docker Compose with this one file."""
    run = partial(command, "docker", "compose", "--file", file, "--project-name", name)
    yield run
    run("down", "--volumes")


def test_trainers_alone_train_into_an_mlflow_that_was_there_before(
    trainers_alone: Compose, name: str, token: str, request: pytest.FixtureRequest
) -> None:
    port, mlflow_port = free_port(), free_port()
    variables = {"BOOSTING_PORT": str(port), "TRAINERS_MLFLOW_URI": "http://elsewhere:5050"}
    trainers_alone("create", "--no-build", "boosting", **variables)
    elsewhere = docker(
        "run", "--detach", "--rm", "--network", f"{name}_trainers", "--network-alias", "elsewhere",
        "--publish", f"127.0.0.1:{mlflow_port}:5050", f"trainyard-mlflow:{setting('IMAGE_TAG')}",
        "server", "--host=0.0.0.0", "--port=5050", "--backend-store-uri=sqlite:////tmp/mlflow.db",
        f"--allowed-hosts=elsewhere:5050,127.0.0.1:{mlflow_port}",
    )  # fmt: skip
    request.addfinalizer(lambda: docker("stop", elsewhere))
    trainers_alone("up", "--detach", "--no-build", "--wait", "--wait-timeout", "120", "boosting", **variables)
    with TrainyardClient(f"http://127.0.0.1:{port}", token=token) as client:
        run = client.submit(request_for("boosting", 5), wait_seconds=60)
    assert run.status == "FINISHED", run
    kept = MlflowClient(f"http://127.0.0.1:{mlflow_port}").get_run(run.run_id)
    assert (kept.info.status, kept.data.metrics["test_accuracy"]) == ("FINISHED", run.metrics["test_accuracy"])


def test_the_platform_alone_reads_the_dags_and_keeps_runs(platform_alone: Compose) -> None:
    port, mlflow_port = free_port(), free_port()
    variables = {"AIRFLOW_PORT": str(port), "MLFLOW_PORT": str(mlflow_port)}
    platform_alone("up", "--detach", "--no-build", "--wait", "--wait-timeout", "300", "mlflow", *AIRFLOW, **variables)
    airflow = AirflowApi(logged_in(f"http://127.0.0.1:{port}", setting("AIRFLOW_ADMIN_PASSWORD")), patience_seconds=60)
    airflow.until_read("xgboost_classification_pipeline")
    airflow.http.close()
    client = MlflowClient(f"http://127.0.0.1:{mlflow_port}")
    run = client.create_run(client.create_experiment("alone"))
    assert client.get_run(run.info.run_id).info.status == "RUNNING"
