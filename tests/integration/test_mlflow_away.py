"""MLflow going away: nothing that trains is lost by it, and nothing that was refused stays behind."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import WEB, Server, Yard, open_yard, until


def troubled(**params: Any) -> dict[str, Any]:
    return {"model": "troubled", "params": params, "data": {"source": "builtin", "name": "iris"}}


def held(yard: Yard, place: str, **more: Any) -> str:
    """A run that waits in that place."""
    run_id = str(yard.submit({**troubled(hold=place), **more})["run_id"])
    until(lambda: f"waits in {place}" in yard.http.get(f"/train/{run_id}/logs").text, place)
    return run_id


def let_go(yard: Yard, run_id: str) -> None:
    (yard.folder(run_id) / "checkpoints/go").touch()


def unended(yard: Yard) -> list[str]:
    """This instance's runs that MLflow shows as SCHEDULED or RUNNING."""
    experiments = mlflow(yard, "experiments/search", max_results=1000)["experiments"]
    own = f"tags.`trainyard.instance` = '{yard.service.environment['TRAINYARD_INSTANCE']}'"
    found = []
    for status in ("SCHEDULED", "RUNNING"):
        wanted = {
            "experiment_ids": [each["experiment_id"] for each in experiments],
            "filter": f"{own} and attributes.status = '{status}'",
        }
        answer = WEB.post(
            f"{yard.mlflow.url}/api/2.0/mlflow/runs/search", json=wanted, timeout=30
        ).raise_for_status()
        found += [run["info"]["run_id"] for run in answer.json().get("runs", [])]
    return found


def mlflow(yard: Yard, call: str, **params: Any) -> dict[str, Any]:
    """What MLflow's REST API answers."""
    answer = WEB.get(f"{yard.mlflow.url}/api/2.0/mlflow/{call}", params=params, timeout=30)
    return dict(answer.raise_for_status().json())


class Wire:
    """A connection to MLflow that loses the answers to requests in which one of `losing` occurs."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.losing: tuple[bytes, ...] = ()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near = self.listener.accept()[0]
            far = socket.create_connection(("127.0.0.1", self.port))
            lost = threading.Event()
            threading.Thread(target=self._ask, args=(near, far, lost), daemon=True).start()
            threading.Thread(target=self._answer, args=(far, near, lost), daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket, lost: threading.Event) -> None:
        with near, contextlib.suppress(OSError):
            while data := near.recv(65_536):
                if any(each in data for each in self.losing):
                    lost.set()
                far.sendall(data)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)

    def _answer(self, far: socket.socket, near: socket.socket, lost: threading.Event) -> None:
        with far, contextlib.suppress(OSError):
            while data := far.recv(65_536):
                if not lost.is_set():
                    near.sendall(data)
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("yard", [{"TRAINYARD_SLOTS": "4", "TRAINYARD_QUEUE": "10"}], indirect=True)
def test_runs_in_every_phase_go_on_without_mlflow_and_are_whole_when_it_is_back(yard: Yard) -> None:
    places = [held(yard, place) for place in ("train", "predict", "log_model")]
    places.append(
        held(
            yard,
            "log_model",
            register={"name": "came-back", "promote": {"metric": "test_accuracy"}},
        )
    )
    queued = yard.submit(troubled())["run_id"]
    cancelled = yard.submit(troubled())["run_id"]
    yard.mlflow.kill(signal.SIGKILL, group=True)
    try:
        for run_id in places:
            let_go(yard, run_id)
        yard.http.delete(f"/train/{cancelled}").raise_for_status()
        until(
            lambda: all(yard.get(run_id)["phase"] == "logging_model" for run_id in places),
            "all to wait for MLflow",
        )
        assert yard.get(queued)["queue_position"] == 1
    finally:
        yard.mlflow.start()
    for run_id in (*places, queued):
        run = yard.ended(run_id)
        assert (run["status"], run["attempt"]) == ("FINISHED", 1)
        kept = mlflow(yard, "runs/get", run_id=run_id)["run"]["data"]
        assert {each["key"]: each["value"] for each in kept["params"]}["rounds"] == "3"
        assert {"train_log_loss", "test_accuracy"} <= {each["key"] for each in kept["metrics"]}
        history = mlflow(yard, "metrics/get-history", run_id=run_id, metric_key="train_log_loss")[
            "metrics"
        ]
        assert [each["step"] for each in history] == [1, 2, 3]
        artifacts = {
            each["path"] for each in mlflow(yard, "artifacts/list", run_id=run_id)["files"]
        }
        assert {"request.json", "training.log", "plots"} <= artifacts
    assert yard.get(places[-1])["registered"]["promoted"] is True
    assert yard.ended(cancelled)["status"] == "KILLED"
    assert unended(yard) == []


@pytest.fixture
def wire(mlflow_server: Server) -> Wire:
    return Wire(mlflow_server.port)


@pytest.fixture
def by_wire(wire: Wire, mlflow_server: Server, tmp_path: Path) -> Iterator[Yard]:
    """A service that reaches MLflow by the wire."""
    variables = {"MLFLOW_TRACKING_URI": wire.url, "TRAINYARD_QUEUE": "10"}
    yield from open_yard(mlflow_server, tmp_path, **variables)


def test_a_submit_whose_answer_from_mlflow_is_lost_is_refused_and_leaves_no_run(
    by_wire: Yard, wire: Wire
) -> None:
    running = held(by_wire, "train")
    wanted = {**troubled(), "on_existing": "attach"}
    keys = [{"Idempotency-Key": f"lost {number}"} for number in range(3)]
    the_discarding_search = b"attributes.status = 'SCHEDULED'"
    wire.losing = (b"/runs/create", the_discarding_search)
    with ThreadPoolExecutor(3) as threads:
        submits = [
            threads.submit(
                httpx.post, f"{by_wire.service.url}/train", json=wanted, headers=key, timeout=90
            )
            for key in keys
        ]
        while not all(submit.done() for submit in submits):
            asked = time.monotonic()
            assert by_wire.get(running)["status"] == "RUNNING"
            assert time.monotonic() - asked < 5, "a poll waited for MLflow"
    for answer in (submit.result() for submit in submits):
        assert (answer.status_code, answer.json()["type"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert len(unended(by_wire)) == 1 + len(keys), "MLflow made the runs that nobody was told of"
    wire.losing = (the_discarding_search,)
    at_once = by_wire.http.post("/train", json=wanted, headers=keys[0])
    assert (at_once.status_code, at_once.json()["attempt"]) == (202, 1), at_once.text
    wire.losing = ()
    let_go(by_wire, running)
    accepted = {running, at_once.json()["run_id"]}
    assert [by_wire.ended(run_id)["status"] for run_id in accepted] == ["FINISHED", "FINISHED"]
    until(
        lambda: {run["run_id"] for run in by_wire.http.get("/train").json()["runs"]} == accepted,
        "what was refused to be discarded",
    )
    later = by_wire.http.post("/train", json=wanted, headers=keys[1])
    assert (later.status_code, later.json()["attempt"]) == (202, 1), later.text
    assert by_wire.ended(later.json()["run_id"])["status"] == "FINISHED"
    assert unended(by_wire) == []
    assert {path.name for path in (by_wire.work_dir / "runs").iterdir()} == accepted | {
        later.json()["run_id"]
    }


def test_a_service_that_starts_without_mlflow_waits_for_it_and_then_takes_up_its_runs(
    shared_yard: Yard,
) -> None:
    finishing = held(shared_yard, "train", max_attempts=2)
    queued = shared_yard.submit(troubled())["run_id"]
    shared_yard.mlflow.kill(signal.SIGKILL, group=True)
    shared_yard.service.kill(signal.SIGKILL)
    shared_yard.service.ready = "/healthz"
    let_go(shared_yard, finishing)
    try:
        shared_yard.service.start()
        until(
            lambda: "recovery" in shared_yard.http.get("/readyz").json()["problems"],
            "the service to say what it waits for",
        )
        for answer in (
            shared_yard.http.post("/train", json=troubled()),
            shared_yard.http.get(f"/train/{queued}"),
            shared_yard.http.get("/train"),
        ):
            assert (answer.status_code, answer.json()["type"]) == (503, "unavailable")
            assert int(answer.headers["Retry-After"]) > 0
    finally:
        shared_yard.service.ready = "/readyz"
        shared_yard.mlflow.start()
    until(lambda: shared_yard.http.get("/readyz").status_code == 200, "the service to be ready")
    assert [shared_yard.ended(run_id)["status"] for run_id in (finishing, queued)] == [
        "FINISHED",
        "FINISHED",
    ]
    assert shared_yard.get(finishing)["attempt"] == 2
    assert unended(shared_yard) == []


@pytest.mark.parametrize("yard", [{"TRAINYARD_TRACKING_PATIENCE_SECONDS": "1"}], indirect=True)
def test_a_run_waits_for_mlflow_as_long_as_it_may_and_then_fails_and_mlflow_is_told_later(
    yard: Yard,
) -> None:
    run_id = held(yard, "train")
    yard.mlflow.kill(signal.SIGKILL, group=True)
    try:
        let_go(yard, run_id)
        run = yard.http.get(f"/train/{run_id}", params={"wait": 60}).json()
        assert (run["status"], run["reason"], run["retryable"]) == (
            "FAILED",
            "tracking_unavailable",
            True,
        )
        yard.service.kill(signal.SIGKILL)
        yard.service.ready = "/healthz"
        yard.service.start()
    finally:
        yard.mlflow.start()
    until(lambda: yard.http.get("/readyz").status_code == 200, "the service to be ready")
    assert yard.ended(run_id)["reason"] == "tracking_unavailable"
