"""The health check of Airflow's containers: a part that is being started is waited for."""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from servers import ROOT, free_port

STARTING: dict[str, Any] = {"triggerer": {"status": None, "latest_triggerer_heartbeat": None}}
HEALTHY: dict[str, Any] = {"triggerer": {"status": "healthy"}}


@contextmanager
def api_server(port: int, answers: list[dict[str, Any]]) -> Iterator[None]:
    """Gives the answers, one a request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answers.pop(0)).encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def test_a_part_that_stays_ill_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv(
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL", f"http://127.0.0.1:{port}/execution/"
    )
    start = runpy.run_path(str(ROOT / "services/airflow/start.py"))
    monkeypatch.setitem(start["health"].__globals__, "PATIENCE_SECONDS", 1)
    monkeypatch.setattr(signal, "alarm", lambda _: None)
    with api_server(port, [STARTING] * 20), pytest.raises(SystemExit, match=r"triggerer: .*None"):
        start["health"]("triggerer")
    with pytest.raises(SystemExit, match=r"triggerer: .*refused"):
        start["health"]("triggerer")


def test_a_part_without_a_heartbeat_yet_is_asked_after_again(tmp_path: Path) -> None:
    port, answers = free_port(), [STARTING, HEALTHY]
    named = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
    }
    check = [sys.executable, ROOT / "services/airflow/start.py", "health", "triggerer"]
    with api_server(port, answers):
        done = subprocess.run(check, env=os.environ | named, timeout=60, check=False)
    assert (done.returncode, answers) == (0, [])
