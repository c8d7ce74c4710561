"""The contract suite runs against each service: these stand before the fixtures of all tests."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import ROOT, Server, Yard, open_yard, service_over, tidied, until, yard_of

TOKEN = "a token of the tests"


@pytest.fixture(scope="session", params=["boosting", "tensorflow", "pytorch"])
def service(request: pytest.FixtureRequest) -> str:
    """The service under test."""
    return str(request.param)


@pytest.fixture(scope="session")
def rounds(service: str) -> str:
    """The param that says how long to train."""
    return "n_estimators" if service == "boosting" else "epochs"


@pytest.fixture(scope="session")
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
    """What `shared_yard` gives to each test, with two model files more: the documented one, and one that does not load."""
    home = tmp_path_factory.mktemp(f"contract-{service}")
    variables = {"TRAINYARD_DATA_ROOTS": str(data_root), "TRAINYARD_QUEUE": "50"}
    server = service_over(mlflow_server, home, service, **variables)
    (home / "models/neighbours.py").write_text(documented_model())
    (home / "models/broken.py").write_text("import absent_library")
    yield from yard_of(server, mlflow_server, home)


@pytest.fixture
def shared_yard(lasting_yard: Yard) -> Yard:
    """A service for all the tests that leave it as they found it."""
    return tidied(lasting_yard)


@pytest.fixture(scope="session")
def answered(lasting_yard: Yard, quick: dict[str, Any]) -> httpx.Response:
    """What a submit that waits for the end was answered; its run is for all tests that only read one."""
    answer = lasting_yard.http.post("/train", json=quick, headers={"Prefer": "wait=60"})
    lasting_yard.ended(answer.json()["run_id"])
    return answer


@pytest.fixture
def trained(answered: httpx.Response, shared_yard: Yard) -> dict[str, Any]:
    """A run that finished, as the service tells it now."""
    return shared_yard.get(answered.json()["run_id"])


@pytest.fixture(scope="session")
def closed_yard(
    service: str,
    mlflow_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    tokens: dict[str, str],
    tokens_file: Path,
) -> Iterator[Yard]:
    """A service that asks for a token, the one or a person's, with a model file more that does not load."""
    home = tmp_path_factory.mktemp(f"closed-{service}")
    assert tokens
    people = {"TRAINYARD_TOKEN": TOKEN, "TRAINYARD_TOKENS_FILE": str(tokens_file)}
    server = service_over(mlflow_server, home, service, **people)
    (home / "models/broken.py").write_text("import absent_library")
    server.ready = "/healthz"
    for yard in yard_of(server, mlflow_server, home):
        yard.http.headers["Authorization"] = f"Bearer {TOKEN}"
        until(lambda yard=yard: yard.http.get("/readyz").status_code == 200, "readiness")
        yield yard


def documented_model() -> str:
    """The example of docs/adding-a-model.md."""
    text = (ROOT / "docs/adding-a-model.md").read_text()
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]
