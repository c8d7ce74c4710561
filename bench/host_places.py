"""Services on hosts that are network namespaces of this machine, as the tests of the engine have them, and what crosses the wires."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "scripts"), str(HERE.parent / "tests")]

from caller import Caller  # noqa: E402 - scripts/ and tests/ are on the path only now
from hosts_cluster import TOKEN, Lab, cluster, mlflow_on, program_of  # noqa: E402
from hosts_lab import Place, ServerAt, places, why_not  # noqa: E402
from programs import HOME, QUIET, ROOT  # noqa: E402
from tables import DATA  # noqa: E402

PORT_BESIDE = 8002
PROGRAM = program_of("boosting")
ALIKE = {"TRAINYARD_NICENESS": "0"}
"""Runs stand back for nobody: else what runs beside the bench would decide how long they take."""


def check_namespaces() -> None:
    """End with a sentence where there can be no hosts on this machine. From now on SIGTERM too leaves none behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    why = why_not() or ("" if PROGRAM.exists() else f"there is no {PROGRAM}")
    if why:
        sys.exit(f"no hosts can be made here: {why}")


@contextmanager
def hosts(**variables: str) -> Iterator[Lab]:
    """Three hosts that have joined a service of the bench's models, with these variables."""
    with _home() as home:
        roots = {"TRAINYARD_DATA_ROOTS": str(DATA), "TRAINYARD_QUEUE": "500", **ALIKE, **QUIET}
        shutil.copytree(HERE / "models", home / "models")
        with cluster(home, **roots | variables) as lab:
            yield lab


@contextmanager
def without_engine(lab: Lab) -> Iterator[Caller]:
    """The same service with its runs on its own host, beside the one of the lab."""
    home = lab.home / "beside"
    home.mkdir()
    named = {
        "TRAINYARD_ENGINE": "local",
        "TRAINYARD_INSTANCE": f"{lab.home.name}-beside",
        "TRAINYARD_SERVICES": "",
        "TRAINYARD_PORT": str(PORT_BESIDE),
        "TRAINYARD_WORK_DIR": str(home),
    }
    command = lab.ground.front.command([PROGRAM, "serve"])
    server = ServerAt(
        command,
        lab.environment | named,
        PORT_BESIDE,
        "/readyz",
        home / "log",
        place=lab.ground.front,
    )
    with _started(server) as caller:
        yield caller


@contextmanager
def network_service(name: str) -> Iterator[tuple[Caller, Place]]:
    """A service of networks with two slots and two threads, alone on its host; its MLflow is on another."""
    with _home() as home, places("f", "n") as (front, place):
        mlflow = mlflow_on(front, home)
        environment = (
            QUIET
            | ALIKE
            | {
                "MLFLOW_TRACKING_URI": mlflow.url,
                "TRAINYARD_INSTANCE": home.name,
                "TRAINYARD_HOST": place.address,
                "TRAINYARD_PORT": str(PORT_BESIDE),
                "TRAINYARD_TOKEN": TOKEN,
                "TRAINYARD_WORK_DIR": str(home),
                "TRAINYARD_DATA_ROOTS": str(DATA),
                "TRAINYARD_SLOTS": "2",
                "TRAINYARD_THREADS": "2",
            }
        )
        command = place.command([ROOT / f".venvs/{name}/bin/trainyard", "serve"])
        log = home / "service.log"
        server = ServerAt(command, environment, PORT_BESIDE, "/readyz", log, place=place)
        mlflow.start()
        with _started(server) as caller:
            yield caller, place


def caller_of(url: str) -> Caller:
    """A caller with the token of these services."""
    caller = Caller(url)
    caller.http.headers["Authorization"] = f"Bearer {TOKEN}"
    return caller


def sent_by(place: Place, device: str = "eth0") -> int:
    """Bytes that the host has sent through this device so far; what it sends to itself goes through `lo`."""
    command = ["ip", "-n", place.name, "-s", "-j", "link", "show", device]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(json.loads(told)[0]["stats64"]["tx"]["bytes"])


@contextmanager
def _home() -> Iterator[Path]:
    (HOME / "bench").mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
        prefix="hosts-", dir=HOME / "bench", ignore_cleanup_errors=True
    ) as made:
        yield Path(made)


@contextmanager
def _started(server: ServerAt) -> Iterator[Caller]:
    server.start()
    caller = caller_of(server.url)
    try:
        yield caller
    finally:
        caller.http.close()
        server.kill()
