"""Fixtures: one MLflow for all tests, a boosting service for each that asks for one."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import properties
import pytest
from servers import PEOPLE, ROOT, SELDOM, Server, Yard, a_quick_disk, free_port, open_yard, tidied
from trainyard.contract import Role
from trainyard.people.tokens import Tokens, write_tokens

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # as images and `make serve` do
properties.register()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's job in the background inherits that, and the programs that tests interrupt would from it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ONE_GROUP = {"dags", "console", "integration/hosts", "integration/launcher", "stack"}
"""Folders whose tests share one server, or one cluster, and so one worker; but for tests that name a group themselves."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several workers share the tests, those of one service, one Airflow, one cluster or one file stay in one worker.

    The DAGs' group takes longest and comes first, so that no worker is left alone with it in the end.
    """
    items.sort(key=lambda item: group_of(folder_of(item)) != "dags")
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        folder = group_of(folder_of(item))
        service = (
            item.callspec.params.get("service")
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else None
        )
        item.add_marker(
            pytest.mark.xdist_group(
                folder if folder in ONE_GROUP else f"{folder}-{service or item.path.stem}"
            )
        )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported for the tests stays until the end: the garbage collector is not to look through it while that goes on, or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def folder_of(item: pytest.Item) -> str:
    """The folder of the item's file, below `tests/`."""
    return item.path.parent.relative_to(ROOT / "tests").as_posix()


def group_of(folder: str) -> str:
    """The folder of ONE_GROUP that it is or lies in, or else itself."""
    return next((each for each in ONE_GROUP if f"{folder}/".startswith(f"{each}/")), folder)


@pytest.fixture(scope="session")
def quick_disk() -> Iterator[Path]:
    """A folder for the databases of MLflow and Airflow."""
    with a_quick_disk() as folder:
        yield folder


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, quick_disk: Path) -> Iterator[Server]:
    """One MLflow for all tests; who kills it starts it again."""
    home = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    server = Server(
        [
            ROOT / ".venvs/mlflow/bin/python",
            SELDOM,
            ROOT / "tests/mlflow_program.py",
            "server",
            "--host=127.0.0.1",
            f"--port={port}",
            "--workers=1",
            f"--backend-store-uri=sqlite:///{quick_disk}/mlflow.db",
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
def tokens_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where people's tokens are kept."""
    return tmp_path_factory.mktemp("people") / "tokens.json"


@pytest.fixture(scope="session")
def tokens(tokens_file: Path) -> dict[str, str]:
    """A token of each person."""
    kept, found = Tokens(), {}
    for name, role in PEOPLE.items():
        kept, found[name] = kept.with_token(name, role=Role(role), team="growth")
    write_tokens(tokens_file, kept)
    return found


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the shared service may read tables from."""
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="session")
def lasting_yard(
    mlflow_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    data_root: Path,
    connections: Path,
) -> Iterator[Yard]:
    """What `shared_yard` gives to each test."""
    home = tmp_path_factory.mktemp("shared")
    yield from open_yard(
        mlflow_server,
        home,
        TRAINYARD_DATA_ROOTS=str(data_root),
        TRAINYARD_QUEUE="50",
        TRAINYARD_NOTIFY_HOSTS="127.0.0.1",
        TRAINYARD_NOTIFY_SECRET="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        TRAINYARD_CONNECTIONS_FILE=str(connections),
    )


@pytest.fixture(scope="session")
def connections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The databases and catalogs that the shared service knows, in files beside this one."""
    home = tmp_path_factory.mktemp("connections")
    file = home / "connections.toml"
    file.write_text(
        '[sql]\napp = "sqlite:///app.db"\n'
        "# nobody listens there\n"
        'away = "postgresql://reader:opens-sesame-42@127.0.0.1:1/app"\n'
        f'[iceberg.lake]\ntype = "sql"\nuri = "sqlite:///{home}/catalog.db"\n'
        f'warehouse = "file://{home}/warehouse"\n'
    )
    return file


@pytest.fixture
def shared_yard(lasting_yard: Yard) -> Yard:
    """A service for all the tests that leave it as they found it: running, with no run under way."""
    return tidied(lasting_yard)
