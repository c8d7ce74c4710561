"""One Airflow for the files of this folder: starting one takes twenty seconds of a processor."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_lab import DAGS, Airflow
from servers import Server, Yard, tidied
from turnstile import Turnstile

FILES = Path(__file__).parents[1] / "files"
SHIPPED = ("xgboost_pipeline_dag.py", "batch_scoring_dag.py")
SLOTS = 2


@pytest.fixture(scope="package")
def turnstile(trainers: Yard) -> Iterator[Turnstile]:
    """On the way to the service."""
    made = Turnstile(tidied(trainers).service.port)
    yield made
    made.close()


@pytest.fixture(scope="package")
def airflow(
    turnstile: Turnstile,
    mlflow_server: Server,
    quick_disk: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Airflow]:
    """An Airflow with few worker slots and one triggerer, which reaches the service through the turnstile.

    A part of it that is slow is not taken for dead. Its DAGs wait to be turned on, or triggered.
    """
    dags = tmp_path_factory.mktemp("dags")
    for file in (*FILES.glob("*.py"), *(DAGS / name for name in SHIPPED)):
        shutil.copy(file, dags)
    yield from Airflow.at_work_on(
        quick_disk / "scheduled",
        {"boosting": turnstile.url, "mlflow": mlflow_server.url},
        dags=dags,
        AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="true",
        AIRFLOW__CORE__PARALLELISM=str(SLOTS),
    )
