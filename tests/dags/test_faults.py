"""One task instance, one run, whatever is killed: a real Airflow, a real service, real kills."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from airflow_lab import Airflow
from servers import WEB, Yard, tidied, until

IRIS = {"source": "builtin", "name": "iris"}


@pytest.fixture
def experiment(request: pytest.FixtureRequest, trainers: Yard) -> Iterator[str]:
    """An experiment of the test's own, so that its runs can be counted; none of them outlives it and keeps the slot."""
    yield str(request.node.name).replace("[", " ").replace("]", "")[:100]
    tidied(trainers)


def held(experiment: str, **changes: Any) -> dict[str, Any]:
    """A request that trains until it is let go."""
    return {
        "model": "troubled",
        "params": {"hold": "train"},
        "data": IRIS,
        "experiment": experiment,
        **changes,
    }


def runs_of(yard: Yard, experiment: str) -> list[dict[str, Any]]:
    """What MLflow holds of an experiment, newest first."""
    api = f"{yard.mlflow.url}/api/2.0/mlflow"
    found = WEB.get(
        f"{api}/experiments/get-by-name", params={"experiment_name": experiment}, timeout=30
    )
    if found.status_code == httpx.codes.NOT_FOUND:
        return []
    body = {
        "experiment_ids": [found.raise_for_status().json()["experiment"]["experiment_id"]],
        "order_by": ["start_time DESC"],
    }
    answer = WEB.post(f"{api}/runs/search", json=body, timeout=30).raise_for_status().json()
    return list(answer.get("runs", []))


def statuses(yard: Yard, experiment: str) -> list[str]:
    return [each["info"]["status"] for each in runs_of(yard, experiment)]


def the_run(yard: Yard, experiment: str) -> str:
    """The id of the one run, once it is there."""
    [found] = until(lambda: runs_of(yard, experiment), f"a run of {experiment}")
    return str(found["info"]["run_id"])


def let_go(yard: Yard, run_id: str) -> None:
    (yard.folder(run_id) / "checkpoints/go").touch()


def training(yard: Yard, run_id: str) -> None:
    """Wait until the run is held in its training."""
    until(
        lambda: "waits in train" in yard.http.get(f"/train/{run_id}/logs").text,
        f"{run_id} to be held",
    )


def waiting(airflow: Airflow, dag_id: str, dag_run: str) -> None:
    """Wait until the task waits for its run: in the triggerer, or in its worker."""
    if dag_id == "in_worker":
        airflow.api.in_state(dag_id, dag_run, "train", "running")
        return
    airflow.api.in_state(dag_id, dag_run, "train", "deferred")
    until(
        lambda: "in the triggerer" in airflow.api.log(dag_id, dag_run, "train"),
        "the triggerer to take it over",
    )


def test_a_worker_killed_between_submit_and_wait_trains_once(
    airflow: Airflow, trainers: Yard, experiment: str
) -> None:
    dag_run = airflow.api.trigger("worker_dies", request=held(experiment))
    run_id = the_run(trainers, experiment)
    training(trainers, run_id)
    task = airflow.api.in_state("worker_dies", dag_run, "train", "deferred")
    assert task["try_number"] == 2
    let_go(trainers, run_id)
    assert airflow.api.ended("worker_dies", dag_run) == "success"
    assert airflow.api.xcom("worker_dies", dag_run, "train")["run_id"] == run_id
    assert statuses(trainers, experiment) == ["FINISHED"]


def test_a_killed_triggerer_changes_nothing(
    airflow: Airflow, trainers: Yard, experiment: str
) -> None:
    dag_run = airflow.api.trigger("deferred", request=held(experiment))
    run_id = the_run(trainers, experiment)
    airflow.api.in_state("deferred", dag_run, "train", "deferred")
    airflow.kill("triggerer")
    training(trainers, run_id)
    let_go(trainers, run_id)
    assert trainers.ended(run_id)["status"] == "FINISHED"
    airflow.start("triggerer")
    assert airflow.api.ended("deferred", dag_run) == "success"
    assert statuses(trainers, experiment) == ["FINISHED"]


@pytest.mark.parametrize("dag_id", ["deferred", "in_worker"])
def test_a_killed_scheduler_changes_nothing(
    airflow: Airflow, trainers: Yard, experiment: str, dag_id: str
) -> None:
    dag_run = airflow.api.trigger(dag_id, request=held(experiment))
    run_id = the_run(trainers, experiment)
    training(trainers, run_id)
    waiting(airflow, dag_id, dag_run)
    airflow.kill("scheduler")
    airflow.start("scheduler")
    let_go(trainers, run_id)
    assert airflow.api.ended(dag_id, dag_run) == "success"
    assert airflow.api.xcom(dag_id, dag_run, "train")["run_id"] == run_id
    assert statuses(trainers, experiment) == ["FINISHED"]


@pytest.mark.parametrize("dag_id", ["deferred", "in_worker"])
def test_a_service_that_is_killed_and_comes_back_is_waited_for(
    airflow: Airflow, trainers: Yard, experiment: str, dag_id: str
) -> None:
    dag_run = airflow.api.trigger(dag_id, request=held(experiment, max_attempts=2))
    run_id = the_run(trainers, experiment)
    training(trainers, run_id)
    waiting(airflow, dag_id, dag_run)
    trainers.service.kill(signal.SIGKILL)
    let_go(trainers, run_id)
    trainers.service.start()
    assert airflow.api.ended(dag_id, dag_run) == "success"
    assert airflow.api.task(dag_id, dag_run, "train")["try_number"] == 1
    assert (
        [each["status"] for each in [trainers.ended(run_id)]]
        == statuses(trainers, experiment)
        == ["FINISHED"]
    )


def test_a_service_that_is_away_at_the_submit_is_waited_for_without_a_worker(
    airflow: Airflow, trainers: Yard, experiment: str
) -> None:
    trainers.service.kill(signal.SIGTERM)
    dag_run = airflow.api.trigger("deferred", request=held(experiment))
    airflow.api.in_state("deferred", dag_run, "train", "deferred")
    trainers.service.start()
    run_id = the_run(trainers, experiment)
    training(trainers, run_id)
    let_go(trainers, run_id)
    assert airflow.api.ended("deferred", dag_run) == "success"
    assert airflow.api.task("deferred", dag_run, "train")["try_number"] == 1
    assert statuses(trainers, experiment) == ["FINISHED"]


def test_half_a_minute_without_mlflow_changes_nothing(
    airflow: Airflow, trainers: Yard, experiment: str
) -> None:
    before = airflow.api.trigger("deferred", request=held(experiment))
    run_id = the_run(trainers, experiment)
    training(trainers, run_id)
    airflow.api.in_state("deferred", before, "train", "deferred")
    trainers.mlflow.kill(signal.SIGKILL, group=True)
    away = time.monotonic()
    meanwhile = airflow.api.trigger("deferred", request=held(f"{experiment} meanwhile"))
    airflow.api.in_state("deferred", meanwhile, "train", "deferred")
    let_go(trainers, run_id)
    until(lambda: time.monotonic() - away >= 30, "half a minute to pass")
    trainers.mlflow.start()
    assert airflow.api.ended("deferred", before) == "success"
    second = the_run(trainers, f"{experiment} meanwhile")
    training(trainers, second)
    let_go(trainers, second)
    assert airflow.api.ended("deferred", meanwhile) == "success"
    for name in (experiment, f"{experiment} meanwhile"):
        assert statuses(trainers, name) == ["FINISHED"]


@pytest.mark.parametrize("state", ["failed", "success"])
@pytest.mark.parametrize("dag_id", ["deferred", "in_worker"])
def test_marking_a_task_cancels_its_run(
    airflow: Airflow, trainers: Yard, experiment: str, dag_id: str, state: str
) -> None:
    dag_run = airflow.api.trigger(dag_id, request=held(experiment))
    run_id = the_run(trainers, experiment)
    training(trainers, run_id)
    waiting(airflow, dag_id, dag_run)
    airflow.api.mark(dag_id, dag_run, "train", state)
    run = trainers.ended(run_id)
    assert (run["status"], run["reason"]) == ("KILLED", "cancelled")
    assert airflow.api.ended(dag_id, dag_run) == state
    assert statuses(trainers, experiment) == ["KILLED"]


@pytest.mark.parametrize("dag_id", ["deferred", "in_worker"])
def test_clearing_a_task_cancels_its_run_and_trains_the_next_attempt(
    airflow: Airflow, trainers: Yard, experiment: str, dag_id: str
) -> None:
    dag_run = airflow.api.trigger(dag_id, request=held(experiment))
    first = the_run(trainers, experiment)
    training(trainers, first)
    waiting(airflow, dag_id, dag_run)
    airflow.api.clear(dag_id, dag_run, "train")
    assert trainers.ended(first)["status"] == "KILLED"
    second = until(
        lambda: [
            each["info"]["run_id"]
            for each in runs_of(trainers, experiment)
            if each["info"]["run_id"] != first
        ],
        "the next run",
    )[0]
    training(trainers, second)
    let_go(trainers, second)
    assert airflow.api.ended(dag_id, dag_run) == "success"
    assert airflow.api.xcom(dag_id, dag_run, "train")["run_id"] == second
    assert trainers.get(second)["attempt"] == 2
    assert statuses(trainers, experiment) == ["FINISHED", "KILLED"]


def test_clearing_a_task_that_succeeded_trains_another_run(
    airflow: Airflow, trainers: Yard, experiment: str
) -> None:
    request = {"model": "troubled", "data": IRIS, "experiment": experiment}
    dag_run = airflow.api.trigger("deferred", request=request)
    assert airflow.api.ended("deferred", dag_run) == "success"
    first = airflow.api.xcom("deferred", dag_run, "train")["run_id"]
    airflow.api.clear("deferred", dag_run, "train")
    assert airflow.api.ended("deferred", dag_run) == "success"
    assert airflow.api.xcom("deferred", dag_run, "train")["run_id"] != first
    assert statuses(trainers, experiment) == ["FINISHED", "FINISHED"]


def test_a_failed_run_fails_the_try_and_the_retry_trains_the_next_attempt(
    airflow: Airflow, trainers: Yard, experiment: str
) -> None:
    request = {
        "model": "troubled",
        "params": {"trouble": "a_bug"},
        "data": IRIS,
        "experiment": experiment,
    }
    dag_run = airflow.api.trigger("deferred", request=request)
    assert airflow.api.ended("deferred", dag_run) == "failed"
    assert airflow.api.task("deferred", dag_run, "train")["try_number"] == 2
    assert statuses(trainers, experiment) == ["FAILED", "FAILED"]
    log = airflow.api.log("deferred", dag_run, "train", 2)
    assert "ZeroDivisionError" in log
    assert "ended FAILED, crashed" in log


def test_a_failure_that_no_retry_mends_is_not_retried(
    airflow: Airflow, trainers: Yard, experiment: str
) -> None:
    dag_run = airflow.api.trigger(
        "deferred", request=held(experiment, params={"trouble": "invalid_data"})
    )
    assert airflow.api.ended("deferred", dag_run) == "failed"
    assert airflow.api.task("deferred", dag_run, "train")["try_number"] == 1
    assert statuses(trainers, experiment) == ["FAILED"]
    assert "row 7 holds a banana" in airflow.api.log("deferred", dag_run, "train")


def test_a_task_out_of_time_cancels_its_run(
    airflow: Airflow, trainers: Yard, experiment: str
) -> None:
    dag_run = airflow.api.trigger("short_of_time", request=held(experiment))
    assert airflow.api.ended("short_of_time", dag_run) == "failed"
    assert set(
        until(
            lambda: (found := statuses(trainers, experiment)) and "RUNNING" not in found and found,
            "the runs to end",
        )
    ) == {"KILLED"}


@pytest.mark.parametrize(
    "request_body, words",
    [
        ({"model": "troubled", "data": IRIS, "colour": "red"}, "colour"),
        ({"model": "troubled", "data": IRIS, "params": {"rounds": "many"}}, "/params/rounds"),
        ({"model": "no such model", "data": IRIS}, "model"),
    ],
)
def test_a_bad_request_fails_the_task_at_once_and_names_the_field(
    airflow: Airflow, request_body: dict[str, Any], words: str
) -> None:
    dag_run = airflow.api.trigger("deferred", request=request_body)
    assert airflow.api.ended("deferred", dag_run) == "failed"
    assert airflow.api.task("deferred", dag_run, "train")["try_number"] == 1
    assert words in airflow.api.log("deferred", dag_run, "train")
