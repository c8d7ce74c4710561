"""`Retry-After` in Airflow: the operator's triggers leave a service alone for as long as it asked."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from airflow_lab import Interpreter, connections

ASKED_SECONDS = 2
RUN = {
    "run_id": "a" * 32,
    "status": "FINISHED",
    "version": 1,
    "model": "m",
    "service": "boosting",
    "experiment": "e",
    "experiment_id": "1",
    "run_name": "r",
    "attempt": 1,
    "metrics": {},
    "submitted_at": "2026-01-01T00:00:00Z",
    "transitions": [],
    "links": {"self": "/train/a", "logs": "/train/a/logs", "mlflow": "http://mlflow"},
}
FULL = {"type": "queue-full", "title": "Queue full", "status": 429, "detail": "full", "errors": []}
PROGRAM = """
import asyncio, importlib, os

async def first(trigger, seconds):
    try:
        async with asyncio.timeout(seconds):
            async for event in trigger.run():
                return event.payload
    except TimeoutError:
        return {"waits": True}

def answer(variables, name, seconds, arguments):
    os.environ.update(variables)
    module, _, trigger = name.partition(".")
    kind = getattr(importlib.import_module(f"trainyard.airflow.{module}"), trigger)
    return asyncio.run(first(kind(conn_id="trainyard_busy", **arguments), seconds))
"""
EventOf = Callable[..., dict[str, Any]]


class Busy(BaseHTTPRequestHandler):
    """A service that refuses the first call with `Retry-After`, and answers the next ones."""

    asked_at: ClassVar[list[float]]

    def do_GET(self) -> None:
        self.asked_at.append(time.monotonic())
        if len(self.asked_at) == 1:
            self._answer(429, FULL)
        elif self.path == "/readyz":
            self._answer(200, {"ready": True})
        elif self.path.startswith("/models"):
            self._answer(404, {**FULL, "type": "unknown-model", "status": 404})
        else:
            self._answer(200, RUN)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Retry-After", str(ASKED_SECONDS))
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def busy() -> Iterator[tuple[type[Busy], str]]:
    handler = type("BusyOnce", (Busy,), {"asked_at": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    home = tmp_path_factory.mktemp("triggers")
    made = Interpreter(PROGRAM, home, AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="0")
    yield made
    made.close()


@pytest.fixture
def event_of(interpreter: Interpreter, busy: tuple[type[Busy], str]) -> EventOf:
    """The event of a trigger, which runs alone in Airflow's environment; `waits` if there was none in time."""

    def event(trigger: str, *, seconds: float = 200, **arguments: Any) -> dict[str, Any]:
        variables = connections({"busy": busy[1]})
        return dict(interpreter.ask(variables, trigger, seconds, arguments))

    return event


@pytest.mark.parametrize(
    ("trigger", "arguments", "found"),
    [
        ("trigger.SubmitTrigger", {"request": {}, "key": "k", "give_up_at": 2e9}, "run"),
        (
            "trigger.TrainTrigger",
            {"run_id": "a" * 32, "wait_seconds": 1, "patience_seconds": 100},
            "run",
        ),
        ("ready.ReadyTrigger", {"model": "m", "pause_seconds": 0.1, "give_up_at": 2e9}, "refused"),
    ],
)
def test_a_trigger_asks_again_no_sooner_than_the_service_said(
    busy: tuple[type[Busy], str],
    event_of: EventOf,
    trigger: str,
    arguments: dict[str, Any],
    found: str,
) -> None:
    service, _ = busy
    assert found in event_of(trigger, **arguments)
    refused, answered = service.asked_at[:2]
    assert answered - refused >= ASKED_SECONDS


def test_a_submit_that_was_told_to_come_later_begins_later(
    busy: tuple[type[Busy], str], event_of: EventOf
) -> None:
    service, _ = busy
    times = {"give_up_at": time.time() + 1000, "not_before": time.time() + 500}
    event = event_of("trigger.SubmitTrigger", request={}, key="k", seconds=3, **times)
    assert event == {"waits": True}
    assert service.asked_at == []
