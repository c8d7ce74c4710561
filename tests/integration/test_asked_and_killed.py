"""A service killed between its decision and the note of it: asked again, it comes to the same end, once."""

import http.client
import json
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from champions import made, noted, trained
from mlflow import MlflowClient
from servers import Server, Yard, service_over, yard_of

NOT_PASSED_ON = {"host", "connection", "transfer-encoding", "content-length", "keep-alive"}


class Between(ThreadingHTTPServer):
    """Passes calls on to MLflow, and loses what is written after an alias has moved, once it is told to."""

    daemon_threads = True

    def __init__(self, mlflow: Server) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.mlflow_port = mlflow.port
        self.watching = threading.Event()
        self.moved = threading.Event()
        self.lost = threading.Event()
        self.over = threading.Event()


class Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self) -> None:
        between = self.server
        assert isinstance(between, Between)
        body = self.read_body()
        if between.watching.is_set() and between.moved.is_set() and self.command == "POST":
            between.lost.set()
            between.over.wait(60)  # the service is killed meanwhile, and this call never arrives
            self.close_connection = True
            return
        there = http.client.HTTPConnection("127.0.0.1", between.mlflow_port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in NOT_PASSED_ON}
        there.request(self.command, self.path, body, headers)
        answer = there.getresponse()
        content = answer.read()
        there.close()
        if between.watching.is_set() and self.path.endswith("registered-models/alias"):
            between.moved.set()
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in NOT_PASSED_ON:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815 - as the library looks them up

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def between(mlflow_server: Server) -> Iterator[Between]:
    server = Between(mlflow_server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def yard(
    mlflow_server: Server, between: Between, tmp_path: Path, data_root: Path
) -> Iterator[Yard]:
    service = service_over(
        mlflow_server,
        tmp_path,
        MLFLOW_TRACKING_URI=f"http://127.0.0.1:{between.server_address[1]}",
        TRAINYARD_DATA_ROOTS=str(data_root),
    )
    yield from yard_of(service, mlflow_server, tmp_path)


def test_a_service_killed_between_the_decision_and_its_note_comes_to_the_same_end_once(
    yard: Yard, between: Between, mlflow_server: Server, data_root: Path
) -> None:
    client, name = MlflowClient(mlflow_server.url), "killed before the note"
    made(2_000).to_csv(data_root / f"{name}.csv", index=False)
    data = {"uri": f"{name}.csv", "drop": ["when"]}
    trained(yard, data, name, params={"n_estimators": 1, "max_depth": 1})
    second = trained(
        yard, data, name, params={"n_estimators": 40}, promote={"when": "asked", "confidence": 0.9}
    )
    would = second["registered"]["decision"].removeprefix(
        "not decided yet: when it is asked for, it would be promoted: "
    )
    path, word = f"/train/{second['run_id']}/promotion", {"by": "anna"}
    between.watching.set()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(yard.http.post, path, json=word)
        assert between.lost.wait(60)
        yard.service.kill(signal.SIGKILL)
        assert answer.exception() is not None
    assert client.get_registered_model(name).aliases["champion"] == "2"
    assert noted(client, name, "2")["decision"].startswith("not decided yet")
    between.watching.clear()
    between.over.set()
    yard.service.start()
    for _ in range(2):
        again = yard.http.post(path, json=word).raise_for_status().json()
        assert again["promoted"] is True
        assert again["decision"] == f"promoted: {would}; asked for by anna"
    assert noted(client, name, "2")["decision"] == f"promoted: {would}; asked for by anna"
    assert noted(client, name, "2")["champion_version"] == "1"
    model = client.get_registered_model(name)
    assert model.aliases["champion"] == "2"
    assert json.loads(model.tags["trainyard.previous.champion"]) == ["1"]
