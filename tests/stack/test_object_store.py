"""Data and artifacts in S3, by the variables of `.env` alone; moto, in a container, speaks S3."""

import sysconfig
from collections.abc import Callable

import boto3
import httpx
import pytest
from botocore.config import Config
from servers import free_port, until
from sklearn.datasets import load_digits
from stack_access import BESIDE, Project, docker, request_for
from trainyard.client import TrainyardClient

pytestmark = BESIDE

KEYS = {
    "AWS_ACCESS_KEY_ID": "of the tests",
    "AWS_SECRET_ACCESS_KEY": "of the tests",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def platform(beside: Callable[..., Project]) -> Project:
    """Postgres, MLflow and a trainer, in a project of their own."""
    return beside("docker-compose-mlops.yml", "docker-compose.trainers.yml")


def object_store(project: str, port: int) -> str:
    """A container of the base image with this environment's moto; its id. MLflow and the trainers each know it by a name of their own."""
    packages = sysconfig.get_path("purelib")
    started = docker(
        "run",
        "--detach",
        "--rm",
        "--network",
        f"{project}_store",
        "--network-alias",
        "artifacts-s3",
        "--publish",
        f"127.0.0.1:{port}:9000",
        "--volume",
        f"{packages}:/packages:ro",
        "--env",
        "PYTHONPATH=/packages",
        "--env",
        "PYTHONDONTWRITEBYTECODE=1",
        "python:3.11-slim-bookworm",
        "python",
        "-m",
        "moto.server",
        "--host=0.0.0.0",
        "--port=9000",
    )
    docker("network", "connect", "--alias", "data-s3", f"{project}_trainers", started)
    return started


def test_a_table_comes_from_s3_and_the_model_goes_there_and_back(
    platform: Project, token: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, mlflow_port, s3_port = free_port(), free_port(), free_port()
    variables = {
        **KEYS,
        "MLFLOW_ARTIFACTS": "s3://artifacts/mlflow",
        "MLFLOW_S3_ENDPOINT_URL": "http://artifacts-s3:9000",
        "TRAINYARD_S3_ENDPOINT": "http://data-s3:9000",
        "BOOSTING_PORT": str(port),
        "MLFLOW_PORT": str(mlflow_port),
    }
    platform.compose("create", "--no-build", "boosting", "mlflow", **variables)
    store = object_store(platform.name, s3_port)
    request.addfinalizer(lambda: docker("stop", "-t", "1", store))
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    # While moto starts, boto3 tries again.
    patient = Config(retries={"max_attempts": 12, "mode": "standard"})
    bucket_of = boto3.resource(
        "s3", endpoint_url=f"http://127.0.0.1:{s3_port}", config=patient
    ).Bucket
    for name in ("data", "artifacts"):
        bucket_of(name).create()
    digits = load_digits(as_frame=True)
    bucket_of("data").put_object(
        Key="tables/digits.csv", Body=digits.frame.to_csv(index=False).encode()
    )

    platform.compose(
        "up",
        "--detach",
        "--no-build",
        "--wait",
        "--wait-timeout",
        "300",
        "boosting",
        "mlflow",
        **variables,
    )
    ready = f"http://127.0.0.1:{port}/readyz"
    until(lambda: httpx.get(ready).is_success, "the service to have heard from MLflow")
    table = {"source": "file", "uri": "s3://data/tables/digits.csv", "target": "target"}
    with TrainyardClient(f"http://127.0.0.1:{port}", token=token) as client:
        run = client.submit(
            request_for("boosting", 5, data=table, register={"name": "in-s3"}), wait_seconds=60
        )
    assert run.status == "FINISHED", run
    kept = {
        each.key.rpartition("/")[2]
        for each in bucket_of("artifacts").objects.filter(Prefix="mlflow/")
    }
    assert {"MLmodel", "training.log", "request.json"} <= kept

    # A client in the stack cannot reach MLflow's S3: what it loads comes through MLflow's server.
    code = "import mlflow; model = mlflow.pyfunc.load_model('models:/in-s3/1'); print(len(model.predict(model.input_example)))"
    said = platform.compose(
        "exec", "--no-TTY", "boosting", "timeout", "60", "python", "-c", code, **variables
    )
    assert int(said.split()[-1]) > 0
