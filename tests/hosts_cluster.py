"""Services whose runs go to hosts that have joined them: a Ray cluster of network namespaces on this machine."""

import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from hosts_lab import Place, ServerAt, places
from hosts_objects import names_in
from servers import MODELS, ROOT, Yard, ticking, until

ENVIRONMENTS = Path(os.environ.get("TRAINYARD_TEST_ENGINES", ROOT / ".venvs"))
"""Where `make` puts the services with Ray."""


def program_of(service: str) -> Path:
    """Trainyard's own program, where the service is beside Ray."""
    return ENVIRONMENTS / f"{service}-ray/bin/trainyard"


LONG_SECONDS, SHORT_SECONDS = 240, 8
"""Leases: longer than a service takes to start on a slow machine, and so short that a lost host is soon told."""
TOKEN = "opens-the-service"
AT_ONCE = {"TRAINYARD_NICENESS": "0"}
"""Runs that do not stand back for what else is tested meanwhile: while they wait, a whole cluster does."""


@dataclass
class Lab:
    """A service, its head and its MLflow on one host, and others that have joined it."""

    yard: Yard
    ground: "Ground"
    home: Path
    environment: dict[str, str]
    program: Path
    names: str
    """Of those that may join, a letter each."""
    joining: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    """What each host has joined with."""

    @property
    def hosts(self) -> dict[str, Place]:
        """Those that may join, by name."""
        return {name: self.ground.hosts[name] for name in self.names}

    def join(self, name: str) -> None:
        """Have the host join."""
        command, log = [self.program, "join"], self.home / f"{name}.log"
        self.joining[name] = self.hosts[name].start(command, self._of(name), log)

    def join_one_by_one(self) -> None:
        """Have each host join once the node of the one before is there.

        Of nodes that start at the same time on one machine one often gives up after 30 s.
        """
        for name in self.hosts:
            self.join(name)
            until(partial(self._is_a_node, name), f"the node of {name}", explain=self.said)

    def all_joined(self) -> None:
        """Wait until all hosts have slots for runs. One whose Ray gave up is started again."""

        def all_there() -> bool:
            for name in self.hosts:
                if self.joining[name].poll() is not None:
                    self.join(name)
            return self.slots == 2 * len(self.hosts)

        until(all_there, "all hosts to have joined", explain=self.said)

    @property
    def slots(self) -> int:
        """As many as all hosts together have that the service hears of."""
        return int(self.yard.http.get("/capacity").json()["slots"]["total"])

    def start_service(self, *, lease_seconds: int) -> None:
        """Start it, with hosts that end their runs when they have not heard of it for so long."""
        named = {"TRAINYARD_HOST_LEASE_SECONDS": str(lease_seconds)}
        self.yard.service.environment = self.yard.service.environment | named
        self.yard.service.start()
        until(lambda: self.yard.http.get("/readyz").status_code == 200, "it", explain=self.said)

    def with_lease(self, seconds: int) -> None:
        """The service, with such leases."""
        if self.yard.service.environment["TRAINYARD_HOST_LEASE_SECONDS"] != str(seconds):
            self.yard.service.kill(signal.SIGTERM)
            self.start_service(lease_seconds=seconds)
            self.all_joined()

    def said(self) -> str:
        """What the service, and Ray, said last."""
        logs = {*self.home.glob("*.log"), *self.ground.home.glob("*.log")}
        return "\n".join(each.read_text()[-1500:] for each in logs)

    def host_of(self, run_id: str) -> str:
        """The host that the run is on."""
        (name,) = self.hosts_of(run_id)
        return name

    def hosts_of(self, run_id: str) -> list[str]:
        """The hosts that the run's ranks are on, in their order."""
        names = {host.address: name for name, host in self.hosts.items()}
        return [names[place["address"]] for place in self.yard.get(run_id)["placement"]]

    def pids_of(self, run_id: str) -> list[int]:
        """The run's processes, on whichever host."""
        return self.pids(lambda folder: _is_of(folder, run_id))

    def pids(self, of: Callable[[Path], bool] = lambda _: True) -> list[int]:
        """The processes of all runs whose folder on their host is one of these."""
        found = []
        for file in self.home.glob("[abc]/hosted/*/*/process_id"):
            with suppress(FileNotFoundError, IndexError):  # just being written, or removed
                if of(file.parent):
                    found.append(_pid_in(file))
        return [pid for pid in found if psutil.pid_exists(pid)]

    def kill_ray(self, name: str) -> bool:
        """Kill the daemon that makes the host a part of the cluster. Whether there was one."""
        killed = False
        for process in self.hosts[name].pids():
            with suppress(psutil.Error, ProcessLookupError):
                if "raylet" in psutil.Process(process).name():
                    os.kill(process, signal.SIGKILL)
                    killed = True
        return killed

    def back(self, name: str) -> None:
        """Have the host join again that was cut off: Ray ends its node once it is back, and so does this, at once."""
        self.hosts[name].mend()
        self.hosts[name].kill()
        self.join(name)
        self.all_joined()

    def ranks(self, run_id: str, *, attempt: int = 1) -> list[int]:
        """The processes of the run's ranks, in their order, once they have trained a round of this attempt."""

        def there() -> bool:
            run = self.yard.get(run_id)
            assert not run["ended_at"], (run, self.said())
            return bool(
                run["phase"] == "training" and run["attempt"] == attempt and run["progress"]
            )

        until(there, f"a round of attempt {attempt} of {run_id}", explain=self.said)
        state = json.loads((self.yard.folder(run_id) / "state.json").read_text())
        nonces = [each.rpartition(":")[2] for each in state["process_id"].split("+")]
        (files,) = zip(
            *(self.home.glob(f"[abc]/hosted/*/{each}/process_id") for each in nonces), strict=True
        )
        return [_pid_in(file) for file in files]

    def kept(self, run_id: str) -> list[str]:
        """The run's checkpoints that are whole where all hosts find them."""
        place = self.environment["TRAINYARD_CHECKPOINTS"]
        if not place.startswith("s3://"):
            return [each.name for each in Path(place, run_id).glob("*.whole")]
        names = names_in(self.environment, f"{place}/{run_id}")
        return [name for name in names if name.endswith(".whole")]

    def in_front(self, named: str) -> list[int]:
        """The processes of the service's host that are called so."""
        return called_so(self.ground.front, named)

    def counting(self, **request: Any) -> str:
        """A run that counts on one of the hosts, after its first rounds."""
        run_id = str(self.yard.submit(ticking(**request))["run_id"])
        self.counts_on(run_id, 0)
        return run_id

    def counts_on(self, run_id: str, beyond: int) -> int:
        """How far the run came, once that is beyond."""

        def rounds() -> int:
            progress = self.yard.get(run_id)["progress"]
            return int(progress["done"]) if progress and progress["done"] > beyond else 0

        return int(until(rounds, f"{run_id} to count beyond {beyond}", explain=self.said))

    def _is_a_node(self, name: str) -> bool:
        """Whether its Ray has started, or ended: then `all_joined` starts it again."""
        said = (self.home / f"{name}.log").read_text()
        return "runtime started" in said or self.joining[name].poll() is not None

    def _of(self, name: str) -> dict[str, str]:
        return self.environment | {"TRAINYARD_WORK_DIR": str(self.home / name)}


def called_so(place: Place, named: str) -> list[int]:
    """The processes on a host whose command has this in it."""
    found = []
    for pid in place.pids():
        with suppress(psutil.Error):
            found += [pid] if named in " ".join(psutil.Process(pid).cmdline()) else []
    return found


def _is_of(folder: Path, run_id: str) -> bool:
    request = folder / "request.json"
    return request.exists() and json.loads(request.read_text())["run_id"] == run_id


def _pid_in(file: Path) -> int:
    return int(file.read_text().split(":")[1])


@dataclass
class Ground:
    """The head of a cluster and an MLflow on one host, and others that may join it."""

    home: Path
    front: Place
    hosts: dict[str, Place]
    mlflow: ServerAt
    token: str
    program: Path
    """Of the service whose environment the head runs in."""
    head: "subprocess.Popen[bytes] | None" = None

    def lead(self) -> None:
        """Have a head."""
        command = [self.program, "head", f"--address={self.front.address}"]
        self.head = self.front.start(command, _of_ray(self), self.home / "head.log")

    @contextmanager
    def serving(
        self, service_name: str, home: Path, names: str = "abc", **variables: str
    ) -> Iterator[Lab]:
        """A service that keeps what it has in `home`, and these hosts as its own; none of it is left.

        It and the hosts have these variables besides.
        """
        for folder in ("models", "checkpoints"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        (home / "models/ticking.py").write_text(MODELS)
        shutil.copy(ROOT / "tests/models/ranked.py", home / "models")
        program = program_of(service_name)
        environment = _variables(self, home) | variables
        service = ServerAt(
            self.front.command([program, "serve"]),
            environment | {"TRAINYARD_WORK_DIR": str(home / "front")},
            8001,
            "/healthz",
            home / "service.log",
            place=self.front,
        )
        yard = Yard(service, self.mlflow, home / "front")
        yard.http.headers["Authorization"] = f"Bearer {TOKEN}"
        made = Lab(yard, self, home, environment, program, names)
        with ThreadPoolExecutor(1) as meanwhile:
            joined = meanwhile.submit(made.join_one_by_one)
            if not self.mlflow.running:
                self.mlflow.start()
            joined.result()
        service.start()
        made.all_joined()
        yield made
        yard.http.close()
        service.kill(signal.SIGTERM)
        for host in made.hosts.values():
            host.kill()


@contextmanager
def ground(home: Path, service_name: str, names: str) -> Iterator[Ground]:
    """All of it but a service, with a head of that service's environment, started in `home`, and nothing left of it."""
    with places("f", *names) as (front, *others):
        made = Ground(
            home,
            front,
            dict(zip(names, others, strict=True)),
            mlflow_on(front, home),
            secrets.token_hex(16),
            program_of(service_name),
        )
        made.lead()
        yield made
        made.mlflow.kill(signal.SIGKILL, group=True)


@contextmanager
def cluster(home: Path, **variables: str) -> Iterator[Lab]:
    """The boosting service, three hosts, and models that count: started in `home`, and nothing left of it.

    The service and its hosts have these variables besides.
    """
    with (
        ground(home, "boosting", "abc") as found,
        found.serving("boosting", home, **variables) as made,
    ):
        yield made


def mlflow_on(place: Place, home: Path) -> ServerAt:
    command = [
        *(ROOT / ".venvs/mlflow/bin/mlflow", "server", f"--host={place.address}", "--port=5000"),
        *("--workers=1", f"--backend-store-uri=sqlite:///{home}/mlflow.db"),
        *(f"--artifacts-destination={home}/artifacts", f"--allowed-hosts={place.address}:5000"),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return ServerAt(
        place.command(command), quiet, 5000, "/health", home / "mlflow.log", place=place
    )


def _of_ray(found: Ground) -> dict[str, str]:
    return {"RAY_AUTH_TOKEN": found.token, "RAY_ADDRESS": f"{found.front.address}:6379"}


def _variables(found: Ground, home: Path) -> dict[str, str]:
    address = found.front.address
    return {
        **_of_ray(found),
        "MLFLOW_TRACKING_URI": found.mlflow.url,
        "TRAINYARD_ENGINE": "ray",
        "TRAINYARD_HOST_LEASE_SECONDS": str(LONG_SECONDS),
        "TRAINYARD_INSTANCE": home.name,
        "TRAINYARD_SERVICES": f"{home.name}=http://{address}:8001",
        "TRAINYARD_HOST": address,
        "TRAINYARD_PORT": "8001",
        "TRAINYARD_TOKEN": TOKEN,
        "TRAINYARD_MODELS_PATH": str(home / "models"),
        "TRAINYARD_CHECKPOINTS": str(home / "checkpoints"),
        "TRAINYARD_THREADS": "2",
        "TRAINYARD_SLOTS": "2",
        "TRAINYARD_GRACE_SECONDS": "3",
    }
