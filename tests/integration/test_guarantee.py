"""The guarantee as a whole: whatever dies, and however often, each accepted run ends, once, and stays so."""

import random
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import psutil
import pytest
from servers import WEB, Yard, until

KEYS = [f"key {number}" for number in range(12)]
REQUEST = {
    "model": "troubled",
    "params": {"rounds": 400},
    "data": {"source": "builtin", "name": "iris"},
    "max_attempts": 10,
}


def submit_until_accepted(yard: Yard, key: str, over: threading.Event) -> str:
    """What a good client does: the same key until the answer is a run."""
    pause = threading.Event()
    while not over.is_set():
        try:
            answer = WEB.post(
                f"{yard.service.url}/train",
                json=REQUEST,
                headers={"Idempotency-Key": key},
                timeout=60,
            )
        except httpx.TransportError:
            pause.wait(0.1)
            continue
        if answer.status_code in {200, 202}:
            return str(answer.json()["run_id"])
        assert answer.status_code == 503, answer.text
        pause.wait(0.1)
    return pytest.fail(f"{key} was never accepted")


def kill_the_service(yard: Yard) -> None:
    yard.service.kill(signal.SIGKILL)
    yard.service.start()


def stop_the_service(yard: Yard) -> None:
    yard.service.kill(signal.SIGTERM)
    yard.service.start()


def kill_what_it_started(yard: Yard) -> None:
    """The fork server and every run."""
    assert yard.service.process is not None
    for process in psutil.Process(yard.service.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            process.kill()


def kill_mlflow(yard: Yard) -> None:
    yard.mlflow.kill(signal.SIGKILL, group=True)
    yard.mlflow.start()


DISASTERS: list[Callable[[Yard], None]] = [
    kill_the_service,
    kill_what_it_started,
    kill_mlflow,
    stop_the_service,
]


def in_mlflow(yard: Yard) -> list[dict[str, Any]]:
    """All runs of this instance."""
    own = f"tags.`trainyard.instance` = '{yard.service.environment['TRAINYARD_INSTANCE']}'"
    wanted = {"experiment_ids": ["0"], "filter": own, "max_results": 1000}
    answer = WEB.post(
        f"{yard.mlflow.url}/api/2.0/mlflow/runs/search", json=wanted, timeout=30
    ).raise_for_status()
    return list(answer.json()["runs"])


@pytest.mark.parametrize(
    "yard", [{"TRAINYARD_SLOTS": "2", "TRAINYARD_QUEUE": "100"}], indirect=True
)
def test_every_accepted_run_ends_once_whatever_dies_meanwhile(yard: Yard) -> None:
    chance, over = random.Random(7), threading.Event()
    accepted: dict[str, str] = {}
    with ThreadPoolExecutor(3) as clients:

        def ask(key: str) -> None:
            accepted[key] = submit_until_accepted(yard, key, over)

        asking = [clients.submit(ask, key) for key in KEYS]
        try:
            for number, disaster in enumerate(DISASTERS, start=1):
                enough = number * len(KEYS) // (len(DISASTERS) + 1)
                until(
                    lambda enough=enough: len(accepted) >= enough, f"{enough} runs to be accepted"
                )
                threading.Event().wait(chance.random())  # any moment is the right one
                disaster(yard)
            for each in asking:
                each.result(120)
        finally:
            over.set()
    ends = {run_id: yard.ended(run_id) for run_id in accepted.values()}
    assert len(ends) == len(KEYS)
    assert {run["status"] for run in ends.values()} == {"FINISHED"}, [
        run for run in ends.values() if run["status"] != "FINISHED"
    ]
    kept = {run["info"]["run_id"]: run["info"] for run in in_mlflow(yard)}
    assert {info["status"] for info in kept.values()} <= {"FINISHED", "FAILED"}
    assert {run_id for run_id, info in kept.items() if info["status"] == "FINISHED"} == set(ends)
    kill_the_service(yard)
    assert {run["info"]["run_id"]: run["info"] for run in in_mlflow(yard)} == kept
    again = [
        yard.http.post("/train", json=REQUEST, headers={"Idempotency-Key": key}) for key in KEYS
    ]
    assert [(each.status_code, each.json()["run_id"]) for each in again] == [
        (200, accepted[key]) for key in KEYS
    ]
