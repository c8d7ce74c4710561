"""Fixtures: one MLflow for all tests, a boosting service for each that asks for one."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import MODELS, ROOT, Server, Yard, free_port


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One MLflow for all tests; who kills it starts it again."""
    home = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    server = Server(
        [ROOT / ".venvs/mlflow/bin/mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1",
         f"--backend-store-uri=sqlite:///{home}/mlflow.db", f"--artifacts-destination={home}/artifacts"],
        {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        port, "/health", home / "server.log",
    )  # fmt: skip
    server.start()
    yield server
    server.kill(signal.SIGKILL, group=True)


@pytest.fixture
def yard(mlflow_server: Server, tmp_path: Path) -> Iterator[Yard]:
    """A boosting service of its own, with a model that trains until it is stopped."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/ticking.py").write_text(MODELS)
    port = free_port()
    service = Server(
        [ROOT / ".venvs/boosting/bin/trainyard", "serve"],
        {
            "MLFLOW_TRACKING_URI": mlflow_server.url,
            "TRAINYARD_INSTANCE": tmp_path.name,
            "TRAINYARD_PORT": str(port),
            "TRAINYARD_WORK_DIR": str(tmp_path / "work"),
            "TRAINYARD_MODELS_PATH": str(tmp_path / "models"),
            "TRAINYARD_GRACE_SECONDS": "3",
            "TRAINYARD_QUEUE": "3",
        },
        port, "/readyz", tmp_path / "service.log",
    )  # fmt: skip
    service.start()
    made = Yard(service, mlflow_server, tmp_path / "work")
    yield made
    made.http.close()
    service.kill(signal.SIGTERM)
