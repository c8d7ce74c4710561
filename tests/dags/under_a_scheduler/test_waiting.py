"""What waiting costs: no worker slot, and two questions a minute."""

from collections import defaultdict
from itertools import pairwise

import pytest
from airflow_lab import Airflow
from servers import Yard, until
from turnstile import Turnstile

COUNT = 6
"""Of trainings, in an Airflow with two worker slots. Each costs two processes of Airflow, some seconds of a core."""
SHORT_ONES = 8
BUSY_SECONDS = 500.0
"""How long each step of all tasks may take: minutes, where other work holds the cores."""
IRIS = {"source": "builtin", "name": "iris"}


@pytest.mark.timeout(1800)
def test_many_more_trainings_than_slots_wait_in_one_triggerer_with_no_worker_and_all_end(
    airflow: Airflow, trainers: Yard, turnstile: Turnstile
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
    dag_run = airflow.api.trigger("many", requests=[quick] * COUNT)

    def states() -> list[str | None]:
        return airflow.api.task_states("many", dag_run, "train")

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
    assert airflow.api.ended("many", dag_run, BUSY_SECONDS) == "success"
    runs = [airflow.api.task("many", dag_run, "train", index)["state"] for index in range(COUNT)]
    assert runs == ["success"] * COUNT
    page = trainers.http.get("/train", params={"experiment": "many", "limit": 100}).json()["runs"]
    assert [run["status"] for run in page] == ["FINISHED"] * (COUNT + 1)


@pytest.mark.timeout(1200)
def test_no_task_whose_training_is_short_is_taken_for_lost(airflow: Airflow) -> None:
    quick = {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 2},
        "data": IRIS,
        "experiment": "short",
    }
    dag_run = airflow.api.trigger("many", requests=[quick] * SHORT_ONES)
    assert airflow.api.ended("many", dag_run, 1000) == "success"
    assert airflow.api.events("state mismatch") == []
    assert {
        airflow.api.task("many", dag_run, "train", index)["try_number"]
        for index in range(SHORT_ONES)
    } == {1}
