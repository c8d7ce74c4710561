"""The contract suite runs against each service: these stand before the fixtures of all tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Server, Yard, open_yard, tidied


@pytest.fixture(scope="session", params=["boosting", "tensorflow", "pytorch"])
def service(request: pytest.FixtureRequest) -> str:
    """The service under test."""
    return str(request.param)


@pytest.fixture
def rounds(service: str) -> str:
    """The param that says how long to train."""
    return "n_estimators" if service == "boosting" else "epochs"


@pytest.fixture
def quick(service: str, rounds: str) -> dict[str, Any]:
    """A request that is soon trained."""
    model = "xgboost_classifier" if service == "boosting" else "mlp"
    return {"model": model, "params": {rounds: 5}, "data": {"source": "builtin", "name": "iris"}}


@pytest.fixture
def yard(service: str, mlflow_server: Server, tmp_path: Path) -> Iterator[Yard]:
    """A service for one test, which may kill it."""
    yield from open_yard(mlflow_server, tmp_path, service)


@pytest.fixture(scope="session")
def lasting_yard(
    service: str, mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory, data_root: Path
) -> Iterator[Yard]:
    """What `shared_yard` gives to each test."""
    home = tmp_path_factory.mktemp(f"contract-{service}")
    yield from open_yard(mlflow_server, home, service, TRAINYARD_DATA_ROOTS=str(data_root), TRAINYARD_QUEUE="50")


@pytest.fixture
def shared_yard(lasting_yard: Yard) -> Yard:
    """A service for all the tests that leave it as they found it."""
    return tidied(lasting_yard)
