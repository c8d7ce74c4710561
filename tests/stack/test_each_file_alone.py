"""Each Compose file by itself."""

from collections.abc import Callable

import pytest
from airflow_api import AirflowApi, logged_in
from mlflow import MlflowClient
from servers import free_port, until
from stack_access import AIRFLOW, BESIDE, Project, docker, request_for, setting
from trainyard.client import TrainyardClient

pytestmark = BESIDE


def test_trainers_alone_train_into_an_mlflow_that_was_there_before(
    beside: Callable[..., Project], token: str, request: pytest.FixtureRequest
) -> None:
    trainers = beside("docker-compose.trainers.yml")
    port, mlflow_port = free_port(), free_port()
    variables = {"BOOSTING_PORT": str(port), "TRAINERS_MLFLOW_URI": "http://elsewhere:5050"}
    trainers.compose("create", "--no-build", "boosting", **variables)
    elsewhere = docker(
        "run",
        "--detach",
        "--rm",
        "--network",
        f"{trainers.name}_trainers",
        "--network-alias",
        "elsewhere",
        "--publish",
        f"127.0.0.1:{mlflow_port}:5050",
        f"trainyard-mlflow:{setting('IMAGE_TAG')}",
        "server",
        "--host=0.0.0.0",
        "--port=5050",
        "--workers=1",
        "--backend-store-uri=sqlite:////tmp/mlflow.db",
        f"--allowed-hosts=elsewhere:5050,127.0.0.1:{mlflow_port}",
    )
    request.addfinalizer(lambda: docker("stop", "-t", "1", elsewhere))
    trainers.compose(
        "up", "--detach", "--no-build", "--wait", "--wait-timeout", "120", "boosting", **variables
    )
    with TrainyardClient(f"http://127.0.0.1:{port}", token=token) as client:
        # A container is healthy before its service has asked MLflow, which is starting too, about earlier runs.
        until(
            lambda: client.ready()["ready"],
            "the service to be ready",
            300,
            explain=lambda: docker("logs", elsewhere),
        )
        run = client.submit(request_for("boosting", 5), wait_seconds=60)
    assert run.status == "FINISHED", run
    kept = MlflowClient(f"http://127.0.0.1:{mlflow_port}").get_run(run.run_id)
    assert (kept.info.status, kept.data.metrics["test_accuracy"]) == (
        "FINISHED",
        run.metrics["test_accuracy"],
    )


def test_the_platform_alone_reads_the_dags_and_keeps_runs(beside: Callable[..., Project]) -> None:
    platform = beside("docker-compose-mlops.yml")
    port, mlflow_port = free_port(), free_port()
    variables = {"AIRFLOW_PORT": str(port), "MLFLOW_PORT": str(mlflow_port)}
    platform.compose(
        "up",
        "--detach",
        "--no-build",
        "--wait",
        "--wait-timeout",
        "300",
        "mlflow",
        *AIRFLOW,
        **variables,
    )
    airflow = AirflowApi(
        logged_in(f"http://127.0.0.1:{port}", setting("AIRFLOW_ADMIN_PASSWORD")),
        patience_seconds=60,
    )
    airflow.until_read("xgboost_classification_pipeline")
    airflow.http.close()
    client = MlflowClient(f"http://127.0.0.1:{mlflow_port}")
    run = client.create_run(client.create_experiment("alone"))
    assert client.get_run(run.info.run_id).info.status == "RUNNING"
