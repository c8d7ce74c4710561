"""What waiting costs: no worker slot, and two questions a minute."""

import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from airflow_lab import Airflow
from servers import Server, Yard, until

FILES = Path(__file__).parent / "files"
COUNT = 50
IRIS = {"source": "builtin", "name": "iris"}
REQUEST_LINE = re.compile(rb"(GET|POST|DELETE) (\S+) HTTP/1.1\r\n")


class Turnstile:
    """Passes bytes on to a service, and notes when each request came by."""

    def __init__(self, port: int) -> None:
        self.requests: list[tuple[float, str, str]] = []
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                service = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._pass, args=(caller, service, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(service, caller, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, noted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if noted and (found := REQUEST_LINE.match(data)):
                    self.requests.append((time.monotonic(), found[1].decode(), found[2].decode()))
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def turnstile(trainers: Yard) -> Iterator[Turnstile]:
    made = Turnstile(trainers.service.port)
    yield made
    made.close()


@pytest.fixture
def counted(turnstile: Turnstile, mlflow_server: Server, tmp_path: Path) -> Iterator[Airflow]:
    """An Airflow with four worker slots and one triggerer, which reaches the service through the turnstile."""
    made = Airflow.make(tmp_path / "airflow", {"boosting": turnstile.url, "mlflow": mlflow_server.url}, dags=FILES)
    made.start("api-server", "scheduler", "dag-processor", "triggerer")
    yield made
    made.stop()


@pytest.mark.timeout(600)
def test_fifty_trainings_wait_in_one_triggerer_with_no_worker_and_all_end(
    counted: Airflow, trainers: Yard, turnstile: Turnstile
) -> None:
    held = {"model": "troubled", "params": {"hold": "train"}, "data": IRIS, "experiment": "fifty"}
    quick = {"model": "xgboost_classifier", "params": {"n_estimators": 2}, "data": IRIS, "experiment": "fifty"}
    first = trainers.submit(held)["run_id"]
    dag_run = counted.api.trigger("fifty", requests=[quick] * COUNT)

    def states() -> list[str | None]:
        return counted.api.task_states("fifty", dag_run, "train")

    until(lambda: states() == ["deferred"] * COUNT, "all to wait, and none in a worker", 180)

    def asked() -> dict[str, list[float]]:
        found = defaultdict(list)
        for at, method, path in [*turnstile.requests]:
            if method == "GET" and "wait=" in path:
                found[path.partition("?")[0]].append(at)
        return found

    until(lambda: len(asked()) == COUNT and min(map(len, asked().values())) >= 2, "each run to be asked for twice", 120)
    assert states() == ["deferred"] * COUNT
    pauses = [later - earlier for times in asked().values() for earlier, later in pairwise(times)]
    assert min(pauses) > 29, "more than two questions a minute"
    assert sum(method == "POST" for _, method, _ in turnstile.requests) == COUNT

    (trainers.folder(first) / "checkpoints/go").touch()
    assert counted.api.ended("fifty", dag_run, 240) == "success"
    runs = [counted.api.task("fifty", dag_run, "train", index)["state"] for index in range(COUNT)]
    assert runs == ["success"] * COUNT
    page = trainers.http.get("/train", params={"experiment": "fifty", "limit": 100}).json()["runs"]
    assert [run["status"] for run in page] == ["FINISHED"] * (COUNT + 1)


@pytest.mark.timeout(600)
def test_no_task_whose_training_is_short_is_taken_for_lost(counted: Airflow) -> None:
    quick = {"model": "xgboost_classifier", "params": {"n_estimators": 2}, "data": IRIS, "experiment": "short"}
    dag_run = counted.api.trigger("fifty", requests=[quick] * COUNT)
    assert counted.api.ended("fifty", dag_run, 500) == "success"
    assert counted.api.events("state mismatch") == []
    assert {counted.api.task("fifty", dag_run, "train", index)["try_number"] for index in range(COUNT)} == {1}
