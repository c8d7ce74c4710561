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
SLOTS = 2
COUNT = 5 * SLOTS
"""Of trainings. Each costs two processes of Airflow, some seconds of a core."""
SHORT_ONES = 8
BUSY_SECONDS = 500.0
"""How long each step of all tasks may take: minutes, where other work holds the cores."""
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
                threading.Thread(
                    target=self._pass, args=(caller, service, True), daemon=True
                ).start()
                threading.Thread(
                    target=self._pass, args=(service, caller, False), daemon=True
                ).start()

    def _pass(self, source: socket.socket, sink: socket.socket, noted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if noted and (found := REQUEST_LINE.match(data)):
                    self.requests.append((time.monotonic(), found[1].decode(), found[2].decode()))
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def turnstile(trainers: Yard) -> Iterator[Turnstile]:
    made = Turnstile(trainers.service.port)
    yield made
    made.close()


@pytest.fixture(scope="module")
def counted(turnstile: Turnstile, mlflow_server: Server, quick_disk: Path) -> Iterator[Airflow]:
    """An Airflow with few worker slots and one triggerer, which reaches the service through the turnstile."""
    yield from Airflow.at_work_on(
        quick_disk / "counted",
        {"boosting": turnstile.url, "mlflow": mlflow_server.url},
        dags=FILES,
        AIRFLOW__CORE__PARALLELISM=str(SLOTS),
    )


@pytest.mark.timeout(1800)
def test_many_more_trainings_than_slots_wait_in_one_triggerer_with_no_worker_and_all_end(
    counted: Airflow, trainers: Yard, turnstile: Turnstile
) -> None:
    held = {"model": "troubled", "params": {"hold": "train"}, "data": IRIS, "experiment": "many"}
    quick = {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 2},
        "data": IRIS,
        "experiment": "many",
    }
    first = trainers.submit(held)["run_id"]
    before = len(turnstile.requests)
    dag_run = counted.api.trigger("many", requests=[quick] * COUNT)

    def states() -> list[str | None]:
        return counted.api.task_states("many", dag_run, "train")

    until(
        lambda: states() == ["deferred"] * COUNT, "all to wait, and none in a worker", BUSY_SECONDS
    )

    def asked() -> dict[str, list[float]]:
        found = defaultdict(list)
        for at, method, path in turnstile.requests[before:]:
            if method == "GET" and "wait=" in path:
                found[path.partition("?")[0]].append(at)
        return found

    until(
        lambda: len(asked()) == COUNT and min(map(len, asked().values())) >= 2,
        "each run to be asked for twice",
        BUSY_SECONDS,
    )
    assert states() == ["deferred"] * COUNT
    pauses = [later - earlier for times in asked().values() for earlier, later in pairwise(times)]
    assert min(pauses) > 29, "more than two questions a minute"
    assert sum(method == "POST" for _, method, _ in turnstile.requests[before:]) == COUNT

    (trainers.folder(first) / "checkpoints/go").touch()
    assert counted.api.ended("many", dag_run, BUSY_SECONDS) == "success"
    runs = [counted.api.task("many", dag_run, "train", index)["state"] for index in range(COUNT)]
    assert runs == ["success"] * COUNT
    page = trainers.http.get("/train", params={"experiment": "many", "limit": 100}).json()["runs"]
    assert [run["status"] for run in page] == ["FINISHED"] * (COUNT + 1)


@pytest.mark.timeout(1200)
def test_no_task_whose_training_is_short_is_taken_for_lost(counted: Airflow) -> None:
    quick = {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 2},
        "data": IRIS,
        "experiment": "short",
    }
    dag_run = counted.api.trigger("many", requests=[quick] * SHORT_ONES)
    assert counted.api.ended("many", dag_run, 1000) == "success"
    assert counted.api.events("state mismatch") == []
    assert {
        counted.api.task("many", dag_run, "train", index)["try_number"]
        for index in range(SHORT_ONES)
    } == {1}
