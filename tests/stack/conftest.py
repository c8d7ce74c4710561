"""The tests of the stack that `make up` brought up, and of projects of its images beside it."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from airflow_api import AirflowApi
from mlflow import MlflowClient, set_tracking_uri
from pipelines import PIPELINES, write_digits
from servers import ROOT
from stack_access import (
    STACK,
    TRAINERS,
    Project,
    address,
    airflow_api,
    container,
    docker,
    request_for,
    setting,
    until_healthy,
)
from trainyard.client import TrainyardClient

RESTARTS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two minutes are little where containers restart: each test waits by deadlines of its own."""
    for item in items:
        if "tests/stack/" in str(item.path) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(RESTARTS))


@pytest.fixture(autouse=True, scope="session")
def _stack(request: pytest.FixtureRequest) -> None:
    running = set(docker("ps", "--format", "{{.Names}}").splitlines())
    missing = [service for service in STACK if container(service) not in running]
    if missing:
        request.session.shouldfail = f"{', '.join(missing)} not running: `make up` first"
        pytest.fail(request.session.shouldfail, pytrace=False)
    until_healthy(*STACK)


@pytest.fixture(scope="session")
def token() -> str:
    """What the trainers ask for."""
    return setting("TRAINYARD_TOKEN")


@pytest.fixture
def trainers(token: str) -> Iterator[Mapping[str, TrainyardClient]]:
    """A client for each trainer; it waits through restarts of its service."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(TrainyardClient(address(name), token=token))
            for name in TRAINERS
        }


@pytest.fixture(scope="session")
def digits() -> Iterator[None]:
    """Images in the folder that the trainers read; what was there stays."""
    file = ROOT / Path(setting("DATA_PATH")) / "digits.npz"
    if file.exists():
        yield
        return
    write_digits(file.parent)
    file.chmod(0o644)
    yield
    file.unlink()


@pytest.fixture
def beside() -> Iterator[Callable[..., Project]]:
    """Makes a Compose project beside the stack out of the files that it is given; gone afterwards with its volumes."""
    made: list[Project] = []

    def make(*files: str) -> Project:
        made.append(Project(f"trainyard-beside-{uuid.uuid4().hex[:8]}", files))
        return made[-1]

    yield make
    for project in made:
        project.compose("--profile", "*", "down", "--volumes", "--timeout", "1")


@pytest.fixture(params=TRAINERS)
def service(request: pytest.FixtureRequest) -> str:
    """The name of each trainer, one a test."""
    return str(request.param)


@pytest.fixture
def trainer(service: str, trainers: Mapping[str, TrainyardClient]) -> TrainyardClient:
    """Its client."""
    return trainers[service]


@pytest.fixture
def quick(service: str) -> dict[str, Any]:
    """A request that is soon trained."""
    return request_for(service, 5)


@pytest.fixture
def slow(service: str) -> dict[str, Any]:
    """A request that trains for hours, to be cancelled."""
    return request_for(service, 10_000)


@pytest.fixture(scope="session")
def mlflow() -> MlflowClient:
    """MLflow, as somebody on this machine reaches it."""
    set_tracking_uri(address("mlflow"))
    return MlflowClient()


@pytest.fixture(scope="session")
def open_airflow() -> Callable[[], AirflowApi]:
    """Logs in to Airflow, whose pipelines are on: again after its API server restarted with other secrets."""
    airflow = airflow_api()
    airflow.turn_on_without_a_daily_run(*PIPELINES)
    airflow.http.close()
    return airflow_api


@pytest.fixture
def airflow(open_airflow: Callable[[], AirflowApi]) -> Iterator[AirflowApi]:
    """Airflow's REST API, as the admin: `trigger`, `ended`, `xcom`, `task_states`, `log` and more."""
    found = open_airflow()
    yield found
    found.http.close()
