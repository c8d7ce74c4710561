"""A caller of a service that trains and waits, and the servers of a bench."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from background import Program, free_port, start, stop, wait_until_ready
from programs import HOME, mlflow
from sessions import Started

BETWEEN_RUNS_SECONDS = 0.6
"""Until a service has a process ready for the next run: those that come at once after another wait for a fork."""


class Caller:
    """Calls one service."""

    def __init__(self, api: str) -> None:
        self.api = api
        self.http = httpx.Client(base_url=api, timeout=600)

    def submit(self, request: dict[str, Any]) -> dict[str, Any]:
        """Post it: the run."""
        return dict(self.http.post("/train", json=request).raise_for_status().json())

    def ended(self, run: dict[str, Any]) -> dict[str, Any]:
        """The run as it ends."""
        while not run["ended_at"]:
            run = self.http.get(run["links"]["self"], params={"wait": 60}).raise_for_status().json()
        return run

    def train(self, request: dict[str, Any]) -> tuple[dict[str, Any], float, float]:
        """Train and wait: the run, and the wall-clock times of the POST and of the answer."""
        before = time.time()
        run = self.ended(self.submit(request))
        after = time.time()
        if run["status"] != "FINISHED":
            raise RuntimeError(f"{run['status']} {run['reason']}: {run['message']}")
        return run, before, after


@contextmanager
def up(program: Program) -> Iterator[Started]:
    """The program, ready, and stopped in the end."""
    try:
        started = start(program, HOME)
        wait_until_ready(program, started, HOME)
        yield started
    finally:
        stop(program.name, HOME)


@contextmanager
def tracking() -> Iterator[str]:
    """The address of an MLflow of the bench's own."""
    server = mlflow(port=free_port(), name="bench-mlflow")
    with up(server):
        yield f"http://127.0.0.1:{server.port}"
