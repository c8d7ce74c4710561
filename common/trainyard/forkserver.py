"""The warm process that runs are forked from: `python -m trainyard.forkserver`.

It imports the framework, MLflow and pandas once, then forks a child a run in about 10 ms. It starts no
thread, opens no connection but the one to its service, and touches no GPU: all that would not survive
a fork. When the service goes away it ends its children and itself.
"""

import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import mlflow
from pydantic import ValidationError
from threadpoolctl import ThreadpoolController

from trainyard import child
from trainyard.complaints import complaints
from trainyard.trainer import Catalogue, describe, load_catalogue

AHEAD = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "mlflow.data",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.system_metrics.system_metrics_monitor",
    "pyarrow.csv",
    "pyarrow.dataset",
    "sklearn.datasets",
    "sklearn.metrics",
    "sklearn.model_selection",
    "trainyard.steps",
)


class ForkServer:
    """Answers the service's requests, one JSON object a line, one at a time."""

    def __init__(
        self, connection: socket.socket, catalogue: Catalogue, pools: ThreadpoolController
    ) -> None:
        self.pools = pools
        self.connection = connection
        self.catalogue = catalogue
        self.children: set[int] = set()

    def serve(self) -> None:
        """Answer until the service is gone, then end what was forked."""
        wake, poke = os.pipe()
        os.set_blocking(poke, False)
        signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        buffer = b""
        while True:
            ready, _, _ = select.select([self.connection.fileno(), wake], [], [])
            if wake in ready:
                os.read(wake, 4096)
                self._reap()
            if self.connection.fileno() in ready:
                received = self.connection.recv(1 << 16)
                if not received:
                    break
                *lines, buffer = (buffer + received).split(b"\n")
                for line in lines:
                    self._answer(json.loads(line))
        for pid in self.children:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _answer(self, request: dict[str, Any]) -> None:
        answer = self._fork(request) if request["op"] == "fork" else self._validate(request)
        self.send({"id": request["id"], **answer})

    def _validate(self, request: dict[str, Any]) -> dict[str, Any]:
        trainer = self.catalogue.trainers[request["model"]]
        try:
            trainer.params.model_validate_json(json.dumps(request["params"]))
        except ValidationError as error:
            found = complaints(error, trainer.params)
            return {"errors": [{"pointer": f"/params{each.pointer}", "detail": each.detail} for each in found]}
        return {"errors": []}

    def _fork(self, request: dict[str, Any]) -> dict[str, Any]:
        pid = os.fork()
        if pid == 0:
            self._become_child(request["job"])
        self.children.add(pid)
        return {"pid": pid}

    def _become_child(self, job: dict[str, Any]) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.connection.close()
            child.main(child.Job.model_validate(job), self.catalogue.trainers[job["model"]], self.pools)
        finally:
            os._exit(child.EXIT_BROKEN)

    def _reap(self) -> None:
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.children.discard(pid)
            self.send({"exited": pid, "code": os.waitstatus_to_exitcode(status)})

    def send(self, message: dict[str, Any]) -> None:
        """Tell the service."""
        self.connection.sendall(json.dumps(message).encode() + b"\n")


def main(socket_path: str, package: str, models_path: str, tracking_uri: str) -> None:
    """Import everything, say hello with the catalogue, serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(socket_path)
    catalogue = load_catalogue(package, Path(models_path) if models_path else None)
    for name in (*AHEAD, *_flavors(catalogue)):
        importlib.import_module(name)
    mlflow.set_tracking_uri(tracking_uri)  # an address, not yet a connection: what it imports takes 30 ms
    pools = ThreadpoolController()
    gc.collect()
    gc.freeze()
    server = ForkServer(connection, catalogue, pools)
    models = [describe(trainer).model_dump(mode="json") for trainer in catalogue.trainers.values()]
    server.send({"hello": "forkserver", "models": models, "broken": dict(catalogue.broken)})
    with suppress(BrokenPipeError, ConnectionResetError):
        server.serve()


def _flavors(catalogue: Catalogue) -> set[str]:
    """The MLflow modules of the frameworks that are imported."""
    frameworks = {trainer.framework.removesuffix("-cpu") for trainer in catalogue.trainers.values()}
    return {f"mlflow.{name}" for name in frameworks if importlib.util.find_spec(f"mlflow.{name}")}


if __name__ == "__main__":
    main(*sys.argv[1:])
