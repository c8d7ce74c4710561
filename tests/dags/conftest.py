"""A real Airflow over a real MLflow and real services."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_lab import DEATH_IS_NOTICED_SOON, Airflow
from servers import Server, Yard, open_yard

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="session")
def trainers(mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A boosting service with a long queue, for all files; who kills it starts it again."""
    home = tmp_path_factory.mktemp("trainers")
    yield from open_yard(mlflow_server, home, TRAINYARD_QUEUE="100")


@pytest.fixture(scope="module")
def airflow(
    trainers: Yard, mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    """An Airflow at work on the DAGs of the tests, for tests that kill."""
    yield from Airflow.at_work_on(
        tmp_path_factory.mktemp("airflow"),
        {"boosting": trainers.service.url, "mlflow": mlflow_server.url},
        dags=FILES,
        **DEATH_IS_NOTICED_SOON,
    )
