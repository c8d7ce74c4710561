"""`trainyard run` as the command of a trainer's image: a container that trains once, and is gone."""

import json
import subprocess
import uuid
from typing import Any

from mlflow import MlflowClient
from servers import ROOT
from stack_access import container, docker
from trainyard.client import TrainyardClient


def test_an_image_trains_once_beside_its_service(
    service: str,
    trainer: TrainyardClient,
    mlflow: MlflowClient,
    quick: dict[str, Any],
    slow: dict[str, Any],
) -> None:
    under_way = trainer.submit(slow).run_id
    wanted = {**quick, "experiment": "stack-once", "run_name": uuid.uuid4().hex}
    file = f"/var/lib/trainyard/{wanted['run_name']}.json"
    done = once(service, wanted, "--output", file)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert json.loads(docker("exec", container(service), "cat", file)) == run
    docker("exec", container(service), "rm", file)
    assert (run["status"], mlflow.get_run(run["run_id"]).info.status) == ("FINISHED", "FINISHED")
    assert {each.path for each in mlflow.list_artifacts(run["run_id"])} >= {"training.log"}
    assert trainer.get(under_way).status == mlflow.get_run(under_way).info.status == "RUNNING"
    trainer.cancel(under_way)
    assert trainer.wait(under_way, timeout_seconds=60).status == "KILLED"
    assert "once" not in docker("exec", container(service), "ls", "/var/lib/trainyard")


def test_a_request_that_is_refused_exits_with_2_and_the_field(
    service: str, quick: dict[str, Any]
) -> None:
    done = once(service, {**quick, "model": "none"})
    assert done.returncode == 2
    assert "/model" in done.stderr


def once(service: str, request: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """The image's `trainyard run`, in the stack's network and under its rules."""
    command = [
        "scripts/compose.sh",
        "run",
        "--rm",
        "--no-deps",
        "--interactive",
        "--no-TTY",
        service,
        "run",
        "-",
        "--json",
        *options,
    ]
    return subprocess.run(
        command,
        cwd=ROOT,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
