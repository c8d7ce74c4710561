"""A real Airflow over a real MLflow and real services."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_lab import AIRFLOW, DAGS, DEATH_IS_NOTICED_SOON, Airflow
from answering import answer_of
from servers import Server, Yard, open_yard

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="session")
def trainers(
    mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory, data_root: Path
) -> Iterator[Yard]:
    """A boosting service with a long queue, for all files; who kills it starts it again."""
    home = tmp_path_factory.mktemp("trainers")
    yield from open_yard(
        mlflow_server,
        home,
        TRAINYARD_QUEUE="100",
        TRAINYARD_DATA_ROOTS=str(data_root),
        TRAINYARD_GRACE_SECONDS="3",  # most runs that are cancelled are held, and have to be killed
    )


@pytest.fixture(scope="module")
def airflow(trainers: Yard, mlflow_server: Server, quick_disk: Path) -> Iterator[Airflow]:
    """An Airflow at work on the DAGs of the tests, for tests that kill."""
    yield from Airflow.at_work_on(
        quick_disk / "killed",
        {"boosting": trainers.service.url, "mlflow": mlflow_server.url},
        dags=FILES,
        **DEATH_IS_NOTICED_SOON,
    )


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The DAGs that ship, as a dag processor sees them."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("parsed")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
    }
    environment.pop("PYTHONPATH", None)
    program = Path(__file__).with_name("parsing.py")
    return answer_of([AIRFLOW.with_name("python"), program, DAGS], env=environment, timeout=400)
