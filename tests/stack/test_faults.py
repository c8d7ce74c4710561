"""What stops, dies or is replaced while trainings run; every run still ends, once, and nothing is lost."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from airflow_api import AirflowApi
from mlflow import MlflowClient
from servers import until
from stack_access import (
    RUN_SECONDS,
    STACK,
    TRAINERS,
    command,
    container,
    containers,
    docker,
    finished,
    healthy,
    held_in_their_first_round,
    inspected,
    project,
    request_for,
    times_begun,
    until_healthy,
)
from trainyard.client import TrainyardClient
from trainyard.contract import Run
from trainyard.errors import Unavailable

Trainers = Mapping[str, TrainyardClient]
ROUNDS = {"boosting": 300, "pytorch": 400}
"""Of a training that is met, or restarted, while it trains: some seconds with two processors to itself."""


@pytest.fixture
def experiment() -> str:
    """One of the test's own, so that its runs can be counted."""
    return f"stack-{uuid.uuid4().hex[:12]}"


@pytest.fixture(autouse=True)
def _left_healthy() -> Iterator[None]:
    yield
    until_healthy(*STACK)


def test_trainers_whose_processes_are_killed_finish_what_they_trained(
    trainers: Trainers, mlflow: MlflowClient, experiment: str
) -> None:
    with held_in_their_first_round(**dict.fromkeys(TRAINERS, 1)):
        runs = {
            name: trainers[name].submit(
                request_for(name, 30, experiment=experiment, max_attempts=3)
            )
            for name in TRAINERS
        }
    restarts = {name: inspected(name)["RestartCount"] for name in TRAINERS}
    for name in TRAINERS:
        die(name)
    for name in TRAINERS:
        until(
            lambda name=name: inspected(name)["RestartCount"] == restarts[name] + 1,
            f"{name} to be started again",
        )
    for name, run in runs.items():
        assert finished(trainers[name], run, mlflow).attempt == 2
    assert kept(mlflow, experiment) == {run.run_id: "FINISHED" for run in runs.values()}


def test_a_training_outlasts_postgres_and_its_metrics_are_all_there(
    trainers: Trainers, mlflow: MlflowClient, experiment: str
) -> None:
    run = started(trainers["boosting"], "boosting", experiment)
    docker("restart", container("postgres"))
    assert not trainers["boosting"].get(run.run_id).status.ended
    assert finished(trainers["boosting"], run, mlflow).attempt == 1
    assert kept(mlflow, experiment) == {run.run_id: "FINISHED"}


def test_a_training_outlasts_mlflow_which_a_submit_waits_for(
    trainers: Trainers, mlflow: MlflowClient, experiment: str
) -> None:
    run = started(trainers["pytorch"], "pytorch", experiment)
    docker("kill", container("mlflow"))
    with pytest.raises(Unavailable, match="MLflow at http://mlflow:5000 does not answer"):
        trainers["pytorch"].submit(request_for("pytorch", 5, experiment=experiment))
    docker("start", container("mlflow"))
    until_healthy("mlflow")
    assert finished(trainers["pytorch"], run, mlflow).attempt == 1
    assert kept(mlflow, experiment) == {run.run_id: "FINISHED"}


def test_a_run_that_hits_the_containers_limit_ends_out_of_memory_and_its_service_goes_on(
    trainers: Trainers, limited: Callable[[str, str], None], mlflow: MlflowClient
) -> None:
    limited("pytorch", "2g")
    since = inspected("pytorch")["State"]["StartedAt"]
    request = request_for("pytorch", 2)
    greedy = {**request, "params": {"hidden_units": [16384, 16384, 16384], "epochs": 2}}
    run = trainers["pytorch"].submit(greedy)
    ended = trainers["pytorch"].wait(run.run_id, timeout_seconds=RUN_SECONDS)
    assert (ended.status, ended.reason, ended.retryable) == ("FAILED", "out_of_memory", True)
    assert "give the service more" in (ended.message or "")
    finished(trainers["pytorch"], trainers["pytorch"].submit(request), mlflow)
    assert inspected("pytorch")["State"]["StartedAt"] == since


@pytest.fixture
def limited(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Gives a container less memory for one test."""

    def limit(name: str, memory: str) -> None:
        host = inspected(name)["HostConfig"]
        given = (f"--memory={host['Memory']}", f"--memory-swap={host['MemorySwap']}")
        request.addfinalizer(lambda: docker("update", *given, container(name)))
        docker("update", f"--memory={memory}", f"--memory-swap={memory}", container(name))

    return limit


def test_down_and_up_lose_nothing_and_up_again_changes_nothing(
    trainers: Trainers,
    mlflow: MlflowClient,
    experiment: str,
    open_airflow: Callable[[], AirflowApi],
) -> None:
    name = f"kept-{uuid.uuid4().hex[:8]}"
    registered = request_for(
        "pytorch", 5, experiment=experiment, register={"name": name, "alias": "champion"}
    )
    first = finished(trainers["pytorch"], trainers["pytorch"].submit(registered), mlflow)
    dags = open_airflow().dag_ids()
    under_way = started(trainers["boosting"], "boosting", experiment)
    command("make", "down")
    assert (
        docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={project()}") == ""
    )
    command("make", "up")
    under_way = finished(trainers["boosting"], under_way, mlflow)
    assert (under_way.attempt, times_begun(under_way)) == (1, 2)
    assert trainers["pytorch"].get(first.run_id).metrics == first.metrics
    assert mlflow.get_model_version_by_alias(name, "champion").run_id == first.run_id
    assert kept(mlflow, experiment) == {first.run_id: "FINISHED", under_way.run_id: "FINISHED"}
    assert open_airflow().dag_ids() == dags
    before = containers()
    command("make", "up")
    assert containers() == before


def test_up_brings_mlflow_back_and_waits_until_the_trainers_are_ready_again(
    trainers: Trainers,
) -> None:
    docker("stop", container("mlflow"))
    for name, client in trainers.items():
        until(lambda client=client: not client.ready()["ready"], f"{name} not to be ready", 120)
    before = containers()
    command("make", "up")
    assert [name for name in STACK if not healthy(name)] == []
    assert [name for name, client in trainers.items() if not client.ready()["ready"]] == []
    after = containers()
    assert {name for name in before if before[name] != after[name]} == {"mlflow"}


def started(client: TrainyardClient, name: str, experiment: str, **changes: Any) -> Run:
    """A run that has trained for some rounds, with most of them to come."""
    run = client.submit(request_for(name, ROUNDS[name], experiment=experiment, **changes))

    def trains() -> Run | None:
        found = client.get(run.run_id)
        assert not found.status.ended, found
        return found if found.progress and found.progress.done >= ROUNDS[name] // 20 else None

    found = until(trains, f"{name} to train")
    assert isinstance(found, Run)
    return found


def kept(mlflow: MlflowClient, experiment: str) -> dict[str, str]:
    """The status of each run of the experiment, as MLflow has it."""
    found = mlflow.get_experiment_by_name(experiment)
    return {run.info.run_id: run.info.status for run in mlflow.search_runs([found.experiment_id])}


def die(name: str) -> None:
    """Kill the service's process, the one that Docker's init started, as the kernel would."""
    docker("exec", container(name), "sh", "-c", "kill -KILL $(cat /proc/1/task/1/children)")
