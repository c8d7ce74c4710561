"""MLflow, the trainers, the console and Airflow as programs on this machine, without Docker."""

import json
import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path

from background import Program

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".run"
MLFLOW_PORT = int(os.environ.get("MLFLOW_PORT", "5000"))
CONSOLE_PORT = int(os.environ.get("CONSOLE_PORT", "8000"))
RAY_PORT = int(os.environ.get("RAY_PORT", "6379"))
AIRFLOW_PORT = int(os.environ.get("AIRFLOW_PORT", "8082"))
TRAINER_PORTS = {"boosting": 8001, "tensorflow": 8002, "pytorch": 8003}
# Nothing here calls home, and a machine without a network loses no time over it.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet", "PYTHONUNBUFFERED": "1"}


def mlflow(*, port: int, name: str = "mlflow", workers: int = 2) -> Program:
    """The MLflow server: SQLite and artifacts under .run/mlflow, artifacts by way of the server."""
    store = HOME / "mlflow"
    store.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    return Program(
        name=name,
        command=[
            ROOT / ".venvs/mlflow/bin/mlflow",
            "server",
            "--host=127.0.0.1",
            f"--port={port}",
            f"--workers={workers}",
            f"--backend-store-uri=sqlite:///{store / 'mlflow.db'}",
            f"--artifacts-destination={store / 'artifacts'}",
            # Uvicorn kills a worker that takes longer than 5 s to import MLflow, as on a busy machine, for ever.
            "--uvicorn-opts=--timeout-worker-healthcheck 120",
        ],
        # Job execution costs eight processes and half the start-up; nothing here uses it.
        environment={**environment, **QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        port=port,
        ready_url=f"http://127.0.0.1:{port}/health",
    )


def trainer(
    service: str, *, port: int, tracking_uri: str, name: str = "", **variables: str
) -> Program:
    """A trainer's service with the caller's environment, a work directory of its own, and `variables` on top."""
    name = name or service
    environment = "-ray" if variables.get("TRAINYARD_ENGINE") == "ray" else ""
    work_dir = Path(os.environ.get("TRAINYARD_WORK_DIR", HOME)) / name
    return Program(
        name=name,
        command=[ROOT / f".venvs/{service}{environment}/bin/trainyard", "serve"],
        environment={
            "TRAINYARD_DATA_DIR": str(HOME / "data"),
            "MLFLOW_TRACKING_URI": tracking_uri,
            **QUIET,
            **os.environ,
            "TRAINYARD_PORT": str(port),
            "TRAINYARD_WORK_DIR": str(work_dir),
            **variables,
        },
        port=port,
        ready_url=f"http://127.0.0.1:{port}/readyz",
    )


def ray_token() -> str:
    """What opens the cluster of `make serve`: the caller's, or one that is made once."""
    kept = HOME / "ray-token"
    if not kept.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_hex(32))
    return os.environ.get("RAY_AUTH_TOKEN") or kept.read_text()


def engine() -> dict[str, str]:
    """The variables of a service, or a host, in the Ray cluster of `make serve`."""
    return {
        "TRAINYARD_ENGINE": "ray",
        "RAY_ADDRESS": f"127.0.0.1:{RAY_PORT}",
        "RAY_AUTH_TOKEN": ray_token(),
    }


def ray_head(service: str) -> Program:
    """The head of a Ray cluster on loopback, from the environment of any service that has Ray."""
    return Program(
        name="ray-head",
        command=[ROOT / f".venvs/{service}-ray/bin/trainyard", "head", f"--port={RAY_PORT}"],
        environment={**QUIET, **os.environ, **engine()},
        port=RAY_PORT,
        ready_url=f"tcp://127.0.0.1:{RAY_PORT}",
    )


def worker(service: str, number: int, *, tracking_uri: str, **variables: str) -> Program:
    """What a host has that joined the service; here one of several on this machine, ready when its node of Ray's is.

    The next one is started then: of nodes that start at once on a busy machine, Ray gives some up after 30 s.
    """
    name = f"{service}-{number}"
    served = trainer(
        service, port=TRAINER_PORTS[service], tracking_uri=tracking_uri, name=name, **variables
    )
    return replace(
        served,
        command=[ROOT / f".venvs/{service}-ray/bin/trainyard", "join", f"--service={service}"],
        port=0,
        ready_words="runtime started",
    )


def console(*, port: int, **variables: str) -> Program:
    """The console with the caller's environment but for the services' token: a person signs in with it."""
    tokens = {"TRAINYARD_TOKEN", "TRAINYARD_TOKEN_FILE"}
    environment = {name: value for name, value in os.environ.items() if name not in tokens}
    return Program(
        name="console",
        command=[ROOT / ".venvs/console/bin/trainyard-console"],
        environment={
            **QUIET,
            **environment,
            "TRAINYARD_PORT": str(port),
            "TRAINYARD_WORK_DIR": str(HOME / "console"),
            **variables,
        },
        port=port,
        ready_url=f"http://127.0.0.1:{port}/healthz",
    )


def airflow(*, port: int, tracking_uri: str) -> Program:
    """Airflow, all parts in one, on SQLite under .run/airflow: admin/admin, the DAGs of dags/, a connection a service."""
    home = HOME / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    passwords = home / "passwords.json"
    passwords.write_text('{"admin": "admin"}')
    addresses = {name: f"http://127.0.0.1:{at}" for name, at in TRAINER_PORTS.items()} | {
        "mlflow": tracking_uri
    }
    return Program(
        name="airflow",
        command=[sys.executable, ROOT / "scripts/airflow.py", ROOT / ".venvs/airflow/bin/airflow"],
        environment={
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
            **{
                f"AIRFLOW_CONN_TRAINYARD_{name.upper()}": _connection(name, url)
                for name, url in addresses.items()
            },
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        },
        port=port,
        ready_url=f"http://127.0.0.1:{port}/api/v2/version",
    )


def _connection(name: str, url: str) -> str:
    """A service's connection, with the token that `make serve` gave it."""
    host, _, port = url.removeprefix("http://").partition(":")
    token = os.environ.get("TRAINYARD_TOKEN") if name in TRAINER_PORTS else None
    return json.dumps(
        {"conn_type": "http", "schema": "http", "host": host, "port": int(port), "password": token}
    )
