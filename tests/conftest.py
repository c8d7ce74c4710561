"""Fixtures: one MLflow for all tests, a boosting service for each that asks for one."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import ROOT, Server, Yard, free_port, open_yard, tidied


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several workers share the tests, those of one service, one Airflow or one file stay in one worker."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        service = (
            item.callspec.params.get("service")
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else None
        )
        item.add_marker(
            pytest.mark.xdist_group(
                "dags" if folder == "dags" else f"{folder}-{service or item.path.stem}"
            )
        )


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One MLflow for all tests; who kills it starts it again."""
    home = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    server = Server(
        [
            ROOT / ".venvs/mlflow/bin/mlflow",
            "server",
            "--host=127.0.0.1",
            f"--port={port}",
            "--workers=1",
            f"--backend-store-uri=sqlite:///{home}/mlflow.db",
            f"--artifacts-destination={home}/artifacts",
        ],
        {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        port,
        "/health",
        home / "server.log",
    )
    server.start()
    yield server
    server.kill(signal.SIGKILL, group=True)


@pytest.fixture
def yard(request: pytest.FixtureRequest, mlflow_server: Server, tmp_path: Path) -> Iterator[Yard]:
    """A service for one test, which may kill it. An indirect parameter holds variables for it."""
    yield from open_yard(mlflow_server, tmp_path, **getattr(request, "param", {}))


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the shared service may read tables from."""
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="session")
def lasting_yard(
    mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory, data_root: Path
) -> Iterator[Yard]:
    """What `shared_yard` gives to each test."""
    home = tmp_path_factory.mktemp("shared")
    yield from open_yard(
        mlflow_server, home, TRAINYARD_DATA_ROOTS=str(data_root), TRAINYARD_QUEUE="50"
    )


@pytest.fixture
def shared_yard(lasting_yard: Yard) -> Yard:
    """A service for all the tests that leave it as they found it: running, with no run under way."""
    return tidied(lasting_yard)
