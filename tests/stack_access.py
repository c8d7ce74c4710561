"""The running stack, as its users reach it (HTTP) and as its operators do (docker, make)."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from airflow_api import AirflowApi, logged_in
from dotenv import dotenv_values
from mlflow import MlflowClient
from servers import ROOT, until
from trainyard.client import TrainyardClient
from trainyard.contract import Phase, Run

TRAINERS = ("boosting", "tensorflow", "pytorch")
AIRFLOW = (
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "airflow-worker",
)
STACK = ("postgres", "redis", "mlflow", *AIRFLOW, *TRAINERS, "console")
PORTS = {"airflow-api-server": "AIRFLOW_PORT"} | {
    name: f"{name.upper()}_PORT" for name in ("mlflow", "console", *TRAINERS)
}
DAG_SECONDS = 300.0
COMMAND_SECONDS = 420.0
RUN_SECONDS = 300.0


def setting(name: str) -> str:
    """A variable as Compose takes it: from the environment, else from .env, else from .env.example."""
    example, own = (dotenv_values(ROOT / file) for file in (".env.example", ".env"))
    return os.environ.get(name) or own.get(name) or example.get(name) or ""


def address(service: str) -> str:
    """Where a service is published."""
    return f"http://127.0.0.1:{setting(PORTS[service])}"


def project() -> str:
    """Compose's name for the stack, which its containers and volumes begin with."""
    return setting("COMPOSE_PROJECT_NAME") or "trainyard"


def container(service: str) -> str:
    """The name of its container."""
    return f"{project()}-{service}-1"


def request_for(service: str, rounds: int, **changes: Any) -> dict[str, Any]:
    """A request for a training of so many rounds or epochs; each takes some hundredths of a second."""
    params = (
        {"n_estimators": rounds, "learning_rate": 0.02}
        if service == "boosting"
        else {"epochs": rounds, "hidden_units": [256]}
    )
    model = "xgboost_classifier" if service == "boosting" else "mlp"
    return {
        "model": model,
        "params": params,
        "data": {"source": "builtin", "name": "digits"},
        "experiment": "stack",
        **changes,
    }


def command(*words: str, **variables: str) -> str:
    """What a command of the repository's root prints; fails the test when it fails."""
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, (
        f"{' '.join(words)}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout


# By the runs' folders, because whoever asks the service hears of a round when others are over. Where the test is over
# before, standard input ends: what was stopped goes on.
HOLD = """
import os, sys, threading, time
from pathlib import Path
import psutil

runs = Path("/var/lib/trainyard/runs")
before, held, end = set(runs.glob("*")), {}, time.monotonic() + float(sys.argv[2])

def let_go():
    sys.stdin.read()
    for process in list(held.values()):
        process.resume()
    os._exit(1)

threading.Thread(target=let_go, daemon=True).start()
print("watching", flush=True)
while len(held) < int(sys.argv[1]):
    assert time.monotonic() < end, f"{len(held)} of {sys.argv[1]} runs came to their first round"
    for run in set(runs.glob("*")) - before - held.keys():
        journal = run / "metrics.jsonl"
        if journal.exists() and journal.stat().st_size:
            _, pid, _ = (run / "process_id").read_text().split(":")
            held[run] = psutil.Process(int(pid))
            held[run].suspend()
    time.sleep(0.02)
"""
HOLD_SECONDS = 300


BESIDE = pytest.mark.xdist_group("beside")
"""For tests of projects beside the stack alone: they may run while others do something to it."""


@dataclass(frozen=True)
class Project:
    """A Compose project beside the stack, of the same images and of these files alone."""

    name: str
    files: tuple[str, ...]

    def compose(self, *words: str, **variables: str) -> str:
        """What `docker compose` prints for it."""
        files = [word for file in self.files for word in ("--file", file)]
        return command(
            "docker", "compose", *files, "--project-name", self.name, *words, **variables
        )


def docker(*words: str) -> str:
    """What a docker command prints."""
    return command("docker", *words).strip()


@contextmanager
def held_in_their_first_round(**runs: int) -> Iterator[None]:
    """Stops the next so many runs of each service once each has trained a round, so that they wait until the test kills them.

    On leaving, all are stopped; what submits them is inside.
    """
    with ExitStack() as watches:
        watching = [watches.enter_context(_watch(name, runs[name])) for name in runs]
        yield
        for each in watching:
            assert each.stderr is not None
            assert each.wait(HOLD_SECONDS + 30) == 0, each.stderr.read()


@contextmanager
def _watch(service: str, runs: int) -> Iterator[subprocess.Popen[str]]:
    words = ["docker", "exec", "--interactive", container(service), "python", "-c", HOLD]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*words, str(runs), str(HOLD_SECONDS)], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as watch:
        assert watch.stdin is not None
        assert watch.stdout is not None
        try:
            assert watch.stdout.readline() == "watching\n"
            yield watch
        finally:
            watch.stdin.close()
            watch.wait(30)


def inspected(service: str) -> dict[str, Any]:
    """All that Docker knows of its container."""
    return dict(json.loads(docker("inspect", container(service)))[0])


def containers() -> dict[str, tuple[str, str]]:
    """The id of each container of the stack, and since when it runs."""
    found = {name: inspected(name) for name in STACK}
    return {name: (each["Id"], each["State"]["StartedAt"]) for name, each in found.items()}


def healthy(service: str) -> bool:
    """Whether its container runs and its health check passes."""
    state = inspected(service)["State"]
    return bool(state["Running"] and state["Health"]["Status"] == "healthy")


def until_healthy(*services: str, seconds: float = 480) -> None:
    """Wait for containers that were stopped or restarted."""
    for service in services:
        until(lambda service=service: healthy(service), f"{service} to be healthy", seconds)


def finished(client: TrainyardClient, run: Run, mlflow: MlflowClient) -> Run:
    """The run as it ended, with every round's metric in MLflow."""
    ended = client.wait(run.run_id, timeout_seconds=RUN_SECONDS)
    assert ended.status == "FINISHED", (ended.status, ended.reason, ended.message)
    assert ended.progress is not None
    until(lambda: mlflow.get_run(run.run_id).info.status == "FINISHED", "MLflow to say so")
    steps = {each.step for each in mlflow.get_metric_history(run.run_id, "train_log_loss")}
    assert steps == set(range(1, ended.progress.total + 1))
    return ended


def times_begun(run: Run) -> int:
    """How many processes were started for it."""
    return [each.phase for each in run.transitions].count(Phase.STARTING)


def airflow_api() -> AirflowApi:
    """Airflow's REST API, as the admin."""
    http = logged_in(address("airflow-api-server"), setting("AIRFLOW_ADMIN_PASSWORD"))
    return AirflowApi(http, patience_seconds=DAG_SECONDS)
