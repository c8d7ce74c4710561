"""The command line against a real service: what it prints, and how it exits."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import ROOT, Server, Yard, free_port, ticking, until

Trainyard = Callable[..., subprocess.CompletedProcess[str]]
meets_no_framework = pytest.mark.parametrize("service", ["boosting"], indirect=True)
"""For what is the same in each service; that the program of each trains, over HTTP and alone, is tried in each."""


@pytest.fixture
def program(service: str) -> Path:
    """The command of the service's environment."""
    return ROOT / f".venvs/{service}/bin/trainyard"


@pytest.fixture
def trainyard(program: Path) -> Trainyard:
    """Run the program to its end."""

    def run(
        *arguments: str, url: str, stdin: dict[str, Any] | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            env=os.environ | {"TRAINYARD_URL": url} | variables,
            timeout=400,
            check=False,
            input=json.dumps(stdin) if stdin is not None else None,
            capture_output=True,
            text=True,
        )

    return run


def test_train_ends_with_the_metrics_and_exit_code_0(
    shared_yard: Yard, trainyard: Trainyard, quick: dict[str, Any]
) -> None:
    done = trainyard("train", "-", url=shared_yard.service.url, stdin=quick)
    assert (done.returncode, "test_accuracy" in done.stdout, "FINISHED" in done.stdout) == (
        0,
        True,
        True,
    )


@meets_no_framework
def test_json_prints_the_run_and_nothing_else(
    shared_yard: Yard, trainyard: Trainyard, quick: dict[str, Any]
) -> None:
    done = trainyard("train", "-", "--json", url=shared_yard.service.url, stdin=quick)
    run = json.loads(done.stdout)
    assert (done.returncode, run["status"]) == (0, "FINISHED")
    assert (
        json.loads(trainyard("status", run["run_id"], "--json", url=shared_yard.service.url).stdout)
        == run
    )


@meets_no_framework
def test_a_failed_run_exits_with_1_and_says_why(shared_yard: Yard, trainyard: Trainyard) -> None:
    done = trainyard("train", "-", url=shared_yard.service.url, stdin=ticking(timeout_seconds=1))
    assert done.returncode == 1
    assert "timed_out" in done.stdout


@meets_no_framework
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "tickin"}, "did you mean 'ticking'"),
        ({"colour": "red"}, "/colour"),
        ({"params": {"depths": -1}}, "/params/depths"),
    ],
)
def test_a_bad_request_exits_with_2_and_names_the_field(
    shared_yard: Yard,
    change: dict[str, Any],
    said: str,
    trainyard: Trainyard,
    quick: dict[str, Any],
) -> None:
    done = trainyard("train", "-", url=shared_yard.service.url, stdin={**quick, **change})
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@meets_no_framework
def test_an_unreachable_service_exits_with_3(trainyard: Trainyard, quick: dict[str, Any]) -> None:
    done = trainyard("train", "-", url=f"http://127.0.0.1:{free_port()}", stdin=quick)
    assert (done.returncode, "does not answer" in " ".join(done.stderr.split())) == (3, True)


@meets_no_framework
def test_cancel_ends_the_run(shared_yard: Yard, trainyard: Trainyard) -> None:
    run_id = trainyard(
        "train", "-", "--detach", url=shared_yard.service.url, stdin=ticking()
    ).stdout.strip()
    shared_yard.in_phase(run_id, "training")
    assert "from round" in trainyard("logs", run_id, url=shared_yard.service.url).stdout
    assert "KILLED" in trainyard("cancel", run_id, url=shared_yard.service.url).stdout
    listed = trainyard("list", "--status", "KILLED", "--json", url=shared_yard.service.url)
    assert run_id in {run["run_id"] for run in json.loads(listed.stdout)["runs"]}


@meets_no_framework
def test_ctrl_c_leaves_the_run_to_go_on(shared_yard: Yard, tmp_path: Path, program: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps(ticking(experiment="interrupted")))
    program = subprocess.Popen(
        # As a terminal starts it, also where the tests run in the background of a script, which ignores Ctrl-C.
        ["env", "--default-signal=INT", program, "train", request],
        env=os.environ | {"TRAINYARD_URL": shared_yard.service.url},
        stderr=subprocess.PIPE,
        text=True,
    )
    page = {"experiment": "interrupted", "status": "RUNNING"}
    runs = until(lambda: shared_yard.http.get("/train", params=page).json()["runs"], "the run")
    shared_yard.in_phase(runs[0]["run_id"], "training")
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=200)
    assert program.returncode == 130
    assert f"trainyard cancel {runs[0]['run_id']}" in " ".join(said.split())
    assert shared_yard.get(runs[0]["run_id"])["status"] == "RUNNING"
    shared_yard.cancel(runs[0]["run_id"])


@meets_no_framework
def test_promote_and_rollback_move_the_alias(
    shared_yard: Yard, trainyard: Trainyard, quick: dict[str, Any], rounds: str, service: str
) -> None:
    name = f"moved-{service}"
    rule = {"metric": "test_log_loss", "when": "asked"}
    runs = []
    for number in (1, 60):
        register = {"name": name, "promote": rule}
        request = {**quick, "params": {rounds: number}, "register": register}
        done = trainyard("train", "-", "--json", url=shared_yard.service.url, stdin=request)
        runs.append(json.loads(done.stdout))
    assert [run["registered"]["promoted"] for run in runs] == [None, None]
    at = {"url": shared_yard.service.url}
    for run in runs:
        done = trainyard("promote", run["run_id"], **at)
        assert (done.returncode, done.stdout.startswith("promoted: ")) == (0, True), done
    assert trainyard("promote", runs[0]["run_id"], **at).returncode == 1
    assert "version 1" in trainyard("rollback", name, **at).stdout
    nothing = trainyard("rollback", name, **at)
    assert (nothing.returncode, "no earlier holder" in " ".join(nothing.stderr.split())) == (
        2,
        True,
    )


@pytest.fixture
def alone(mlflow_server: Server, tmp_path: Path) -> dict[str, str]:
    """What `trainyard run` needs to train where no service is."""
    return {
        "TRAINYARD_WORK_DIR": str(tmp_path),
        "MLFLOW_TRACKING_URI": mlflow_server.url,
        "TRAINYARD_INSTANCE": "once",
    }


def test_run_trains_once_without_a_server(
    alone: dict[str, str], tmp_path: Path, trainyard: Trainyard, quick: dict[str, Any]
) -> None:
    output = tmp_path / "run.json"
    done = trainyard("run", "-", "--output", str(output), "--json", url="", stdin=quick, **alone)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "FINISHED")
    assert json.loads(output.read_text()) == json.loads(done.stdout)


@meets_no_framework
def test_run_of_a_model_that_is_not_here_exits_with_2(
    alone: dict[str, str], trainyard: Trainyard, quick: dict[str, Any]
) -> None:
    assert trainyard("run", "-", url="", stdin={**quick, "model": "none"}, **alone).returncode == 2


@meets_no_framework
def test_run_leaves_alone_what_its_service_trains(
    yard: Yard, trainyard: Trainyard, quick: dict[str, Any]
) -> None:
    under_way = yard.submit(ticking())["run_id"]
    yard.in_phase(under_way, "training")
    settings = {"TRAINYARD_WORK_DIR": str(yard.work_dir), "MLFLOW_TRACKING_URI": yard.mlflow.url}
    before = set(yard.work_dir.iterdir())
    done = trainyard("run", "-", "--json", url="", stdin=quick, **settings)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "FINISHED")
    assert (yard.get(under_way)["status"], yard.in_mlflow(under_way)) == ("RUNNING", "RUNNING")
    assert set(yard.work_dir.iterdir()) == before
    yard.cancel(under_way)


@meets_no_framework
def test_serving_to_others_without_a_token_is_refused(trainyard: Trainyard) -> None:
    done = trainyard("serve", url="", TRAINYARD_HOST="0.0.0.0")
    assert (done.returncode, "TRAINYARD_TOKEN" in done.stderr) == (2, True)


def test_the_client_loads_no_server_libraries() -> None:
    code = "import sys, trainyard.client; print({'fastapi', 'mlflow', 'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
