"""Real servers for the tests: an MLflow, and services that can be killed and started again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[1]
SELDOM = ROOT / "tests/seldom.py"
"""Runs a program that imports much, with few rounds of the garbage collector."""
DEADLINE_SECONDS = 180.0
START_SECONDS = 240.0
TRAINING_SECONDS = 400.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5
WEB = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=60)
"""For single calls and for asking again and again, over a new connection each. `httpx.get` reads the machine's certificates each time, 40 ms of a processor."""
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 1 << 30
"""What has to be free in memory before databases are kept there."""
PORT_SHARES = 8
OWN_SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PORT_SHARES
GIVEN_PORTS: set[int] = set()
PEOPLE = {"rae": "read", "tom": "train", "pia": "promote", "ada": "admin"}
"""One of each role."""
MODELS = '''
import functools, os, threading
from trainyard.contract import Task
from trainyard.trainer import Params


class TickingParams(Params):
    rounds: int = 100_000
    stubborn: bool = False


class Ticking:
    """Counts rounds until it is stopped, and goes on from its checkpoint."""

    name = "ticking"
    task = Task.CLASSIFICATION
    data = ("table",)
    framework = "scikit-learn"
    description = "Counts"
    params = TickingParams
    example = {"model": "ticking", "data": {"source": "builtin", "name": "iris"}}

    def autolog(self):
        pass

    def train(self, params, data, training):
        if params.stubborn:
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        saved = training.checkpoints / "round"
        first = int(saved.read_text()) if saved.exists() else 0
        print(f"from round {first}", flush=True)
        tick = threading.Event()
        for done in range(first + 1, params.rounds + 1):
            tick.wait(0.02)
            save = functools.partial(saved.write_text, str(done)) if training.checkpoint_due() else None
            training.report(done=done, total=params.rounds, unit="rounds", metrics={"train_log_loss": 1 / done}, save=save)
        raise RuntimeError("counted to the end")


ticking = Ticking()
'''


@contextmanager
def a_quick_disk() -> Iterator[Path]:
    """A folder for databases, in memory where there is room, gone in the end.

    A commit waits 10 ms for a disk, so that it survives the machine. Here processes die, but never the machine.
    """
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
    with TemporaryDirectory(
        prefix="trainyard-tests-", dir=MEMORY if roomy else None, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def free_port() -> int:
    """A loopback port that nobody listens on.

    It stays free for the seconds until its server takes it: each worker of pytest-xdist has a share of the ports, and
    gives none twice.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        # The kernel gives ports of one parity.
        if port // 2 % PORT_SHARES == OWN_SHARE and port not in GIVEN_PORTS:
            GIVEN_PORTS.add(port)
            return port


def until(
    condition: Callable[[], Any],
    what: str,
    seconds: float = DEADLINE_SECONDS,
    *,
    explain: Callable[[], str] = str,
) -> Any:
    """What the condition gives once it gives something; fails the test, with what `explain` says, when it never does.

    It is asked more seldom the longer it takes: asking Airflow, MLflow or Docker keeps busy what is waited for.
    """
    began = now = time.monotonic()
    while now < began + seconds:
        found = condition()
        if found:
            return found
        time.sleep(min(max(FIRST_PAUSE_SECONDS, (now - began) / 20), LONGEST_PAUSE_SECONDS))
        now = time.monotonic()
    return pytest.fail(f"waited {seconds:.0f} s for {what}\n{explain()}".rstrip())


@dataclass
class Server:
    """A program that listens on a port, started, killed and started again."""

    command: list[Any]
    environment: dict[str, str]
    port: int
    ready: str
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=os.environ | self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._answers, f"{self.url}{self.ready}", START_SECONDS, explain=self._said)

    def kill(self, number: signal.Signals = signal.SIGKILL, *, group: bool = False) -> None:
        """Signal the process, or its whole group, and wait until the process is gone."""
        if self.process is None:
            return
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.process.wait(DEADLINE_SECONDS)
        self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"ended while it started:\n{self._said()}")
        try:
            return WEB.get(self.url + self.ready, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def _said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


@dataclass
class Yard:
    """A service over an MLflow, as a caller sees them."""

    service: Server
    mlflow: Server
    work_dir: Path
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.service.url, timeout=90)

    def submit(self, request: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.http.post("/train", json=request or ticking(), headers=named)
        assert response.status_code in {200, 202}, response.text
        return dict(response.json())

    def get(self, run_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"/train/{run_id}").raise_for_status().json())

    def in_phase(self, run_id: str, phase: str) -> dict[str, Any]:
        """The run once it is in the phase."""

        def there() -> dict[str, Any] | None:
            run = self.get(run_id)
            assert not run["ended_at"], run
            return run if run["phase"] == phase else None

        return dict(until(there, f"{phase} of {run_id}"))

    def ended(self, run_id: str) -> dict[str, Any]:
        """The run as it ended, after MLflow came to say the same."""

        def over() -> dict[str, Any] | None:
            asked = self.http.get(f"/train/{run_id}", params={"wait": 60}).raise_for_status()
            run = dict(asked.json())
            return run if run["ended_at"] else None

        run = dict(until(over, f"the end of {run_id}", TRAINING_SECONDS))
        until(
            lambda: self.in_mlflow(run_id) == run["status"],
            f"MLflow to say {run['status']} of {run_id}",
        )
        return run

    def in_mlflow(self, run_id: str) -> str:
        """The status that MLflow shows."""
        return str(self._of_mlflow(run_id)["info"]["status"])

    def metrics_in_mlflow(self, run_id: str) -> list[dict[str, Any]]:
        """The newest value of each metric that MLflow has."""
        return list(self._of_mlflow(run_id)["data"].get("metrics", []))

    def _of_mlflow(self, run_id: str) -> dict[str, Any]:
        answer = WEB.get(
            f"{self.mlflow.url}/api/2.0/mlflow/runs/get", params={"run_id": run_id}, timeout=30
        )
        return dict(answer.raise_for_status().json()["run"])

    def folder(self, run_id: str) -> Path:
        return self.work_dir / "runs" / run_id

    def pid(self, run_id: str) -> int:
        """The process that trains the run, once there is one."""
        state = self.folder(run_id) / "state.json"
        process_id = until(
            lambda: state.exists() and json.loads(state.read_text())["process_id"], "a process"
        )
        return int(process_id.split(":")[1])

    def cancel(self, run_id: str) -> dict[str, Any]:
        self.http.delete(f"/train/{run_id}").raise_for_status()
        return self.ended(run_id)


def ticking(**changes: Any) -> dict[str, Any]:
    """A request that trains until it is stopped."""
    return {"model": "ticking", "data": {"source": "builtin", "name": "iris"}, **changes}


def service_over(mlflow: Server, home: Path, service: str = "boosting", **variables: str) -> Server:
    """A service, not started yet, with everything it keeps in `home`."""
    (home / "models").mkdir()
    (home / "models/ticking.py").write_text(MODELS)
    shutil.copy(ROOT / "tests/models/troubled.py", home / "models")
    port = free_port()
    environment = {
        "MLFLOW_TRACKING_URI": mlflow.url,
        "TRAINYARD_INSTANCE": home.name,
        "TRAINYARD_PORT": str(port),
        "TRAINYARD_WORK_DIR": str(home / "work"),
        "TRAINYARD_MODELS_PATH": str(home / "models"),
        "TRAINYARD_GRACE_SECONDS": "8",  # a run that breaks off waits 5 s for a busy MLflow
        "TRAINYARD_QUEUE": "3",
        "TRAINYARD_THREADS": "1",
        "TRAINYARD_NICENESS": "0",  # a test waits for its run whatever else the machine does
        **variables,
    }
    command = [ROOT / f".venvs/{service}/bin/trainyard", "serve"]
    return Server(command, environment, port, "/readyz", home / "service.log")


def open_yard(
    mlflow: Server, home: Path, service: str = "boosting", **variables: str
) -> Iterator[Yard]:
    """The service, started, and stopped in the end."""
    yield from yard_of(service_over(mlflow, home, service, **variables), mlflow, home)


def yard_of(server: Server, mlflow: Server, home: Path) -> Iterator[Yard]:
    """A service that was prepared in `home`, started, and stopped in the end."""
    server.start()
    made = Yard(server, mlflow, home / "work")
    yield made
    made.http.close()
    server.kill(signal.SIGTERM)


def tidied(yard: Yard) -> Yard:
    """The service as a test may expect it: running, with no run under way."""
    if not yard.service.running:
        yard.service.start()
    for status in ("SCHEDULED", "RUNNING"):
        for run in yard.http.get("/train", params={"status": status}).json()["runs"]:
            yard.cancel(run["run_id"])
    return yard
