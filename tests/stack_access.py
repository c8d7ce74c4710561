"""The running stack, as its users reach it (HTTP) and as its operators do (docker, make)."""

import json
import os
import subprocess
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
from dotenv import dotenv_values
from servers import ROOT, until

TRAINERS = ("boosting", "tensorflow", "pytorch")
AIRFLOW = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "airflow-worker")
STACK = ("postgres", "redis", "mlflow", *AIRFLOW, *TRAINERS)
PORTS = {"airflow-api-server": "AIRFLOW_PORT", "mlflow": "MLFLOW_PORT"} | {name: f"{name.upper()}_PORT" for name in TRAINERS}
DAG_SECONDS = 300.0
COMMAND_SECONDS = 420.0


def setting(name: str) -> str:
    """A variable as Compose takes it: from the environment, else from .env, else from .env.example."""
    example, own = (dotenv_values(ROOT / file) for file in (".env.example", ".env"))
    return os.environ.get(name) or own.get(name) or example.get(name) or ""


def address(service: str) -> str:
    """Where a service is published."""
    return f"http://127.0.0.1:{setting(PORTS[service])}"


def container(service: str) -> str:
    """The name of its container."""
    return f"trainyard-{service}-1"


def request_for(service: str, rounds: int, **changes: Any) -> dict[str, Any]:
    """A request for a training of so many rounds or epochs; each takes some hundredths of a second."""
    params = {"n_estimators": rounds, "learning_rate": 0.02} if service == "boosting" else {"epochs": rounds, "hidden_units": [256]}
    model = "xgboost_classifier" if service == "boosting" else "mlp"
    return {"model": model, "params": params, "data": {"source": "builtin", "name": "digits"}, "experiment": "stack", **changes}


def command(*words: str, **variables: str) -> str:
    """What a command of the repository's root prints; fails the test when it fails."""
    done = subprocess.run(
        words, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def docker(*words: str) -> str:
    """What a docker command prints."""
    return command("docker", *words).strip()


def inspected(service: str) -> dict[str, Any]:
    """All that Docker knows of its container."""
    return dict(json.loads(docker("inspect", container(service)))[0])


def healthy(service: str) -> bool:
    """Whether its container runs and its health check passes."""
    state = inspected(service)["State"]
    return bool(state["Running"] and state["Health"]["Status"] == "healthy")


def until_healthy(*services: str, seconds: float = 180) -> None:
    """Wait for containers that were stopped or restarted."""
    for service in services:
        until(lambda service=service: healthy(service), f"{service} to be healthy", seconds)


@dataclass
class Airflow:
    """Airflow's REST API, as the admin."""

    url: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        login = {"username": "admin", "password": setting("AIRFLOW_ADMIN_PASSWORD")}
        token = httpx.post(f"{self.url}/auth/token", json=login, timeout=60).raise_for_status().json()["access_token"]
        self.http = httpx.Client(base_url=f"{self.url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        return dict(self.http.get(path, params=params).raise_for_status().json())

    def dag_ids(self) -> set[str]:
        return {dag["dag_id"] for dag in self.get("/dags", limit=100, exclude_stale=True)["dags"]}

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run of the DAG, which is turned on first where it is paused; the run's id."""
        until(lambda: dag_id in self.dag_ids(), f"Airflow to have read {dag_id}")
        self.http.patch(f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
        wanted = {"dag_run_id": f"test-{uuid.uuid4()}", "logical_date": None, "conf": conf or {}}
        answer = self.http.post(f"/dags/{dag_id}/dagRuns", json=wanted)
        assert answer.is_success, answer.text
        return str(answer.json()["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """Such as queued, running, success or failed."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
        return {task["task_id"]: task["state"] for task in found}

    def ended(self, dag_id: str, run_id: str, seconds: float = DAG_SECONDS) -> str:
        """`success` or `failed`, once the run of the DAG came to it; an API server that restarts is waited for."""
        def end() -> str | None:
            try:
                state = self.state(dag_id, run_id)
            except httpx.TransportError:
                return None
            return state if state in {"success", "failed"} else None
        return str(until(end, f"{dag_id} {run_id} to end", seconds))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task left for others."""
        return self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}")["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """What a task printed, to be shown where a test fails."""
        answer = self.http.get(
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}",
            params={"full_content": True}, headers={"Accept": "application/x-ndjson"},
        )
        return answer.text
