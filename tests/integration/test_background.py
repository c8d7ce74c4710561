"""What `make serve` starts can be started again, however it ended; what it did not start is left alone."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from servers import ROOT, until

sys.path.insert(0, str(ROOT / "scripts"))

from background import (  # scripts/ is on the path only now
    Program,
    StartError,
    free_port,
    pid_file,
    recorded,
    running,
    start,
    stop,
    wait_until_ready,
)

# As MLflow does: the first process opens the socket, and workers, which outlive it, answer on it.
SERVER = """
import http.server, os, signal, sys
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.BaseHTTPRequestHandler)
server.RequestHandlerClass.do_GET = lambda request: (request.send_response(200), request.end_headers())
if os.fork():
    os.wait()
elif os.environ.get("STUBBORN"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
server.serve_forever()
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    port = free_port()
    yield Program(
        name="server",
        command=[sys.executable, "-c", SERVER, str(port)],
        environment=dict(os.environ),
        port=port,
        ready_url=f"http://127.0.0.1:{port}/",
    )
    stop("server", tmp_path)


def worker_of(pid: int) -> psutil.Process:
    return until(lambda: psutil.Process(pid).children(), "the worker")[0]


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_program_whose_first_process_was_killed_is_started_again(
    program: Program, tmp_path: Path
) -> None:
    first = start(program, tmp_path)
    wait_until_ready(program, first, tmp_path)
    worker = worker_of(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not first.alive, "the first process to be gone")
    assert running("server", tmp_path) is None
    assert runs(worker)
    again = start(program, tmp_path)
    wait_until_ready(program, again, tmp_path)
    assert not runs(worker)
    assert running("server", tmp_path) == again


def test_stop_ends_what_a_killed_program_left_behind(program: Program, tmp_path: Path) -> None:
    first = start(program, tmp_path)
    wait_until_ready(program, first, tmp_path)
    worker = worker_of(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    assert stop("server", tmp_path)
    assert not runs(worker)
    assert not stop("server", tmp_path)


def test_what_does_not_end_when_asked_to_is_killed(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("background.STOP_SECONDS", 0.5)
    program.environment["STUBBORN"] = "1"
    first = start(program, tmp_path)
    wait_until_ready(program, first, tmp_path)
    worker = worker_of(first.pid)
    assert stop("server", tmp_path)
    assert not runs(worker)


def test_a_program_without_an_address_is_ready_once_it_has_said_so_since_it_was_started(
    tmp_path: Path,
) -> None:
    (told := tmp_path / "told").touch()
    says = 'while [ ! -e "$0" ]; do sleep 0.05; done; echo it started; exec sleep 1000'
    host = Program("host", ["sh", "-c", says, told], dict(os.environ), 0, ready_words="started")
    wait_until_ready(host, start(host, tmp_path), tmp_path)
    assert stop("host", tmp_path)
    told.unlink()
    second = start(host, tmp_path)
    try:
        with pytest.raises(StartError, match="host was not ready after 0 s"):
            wait_until_ready(host, second, tmp_path, seconds=0)
        told.touch()
        wait_until_ready(host, running("host", tmp_path) or second, tmp_path)
    finally:
        stop("host", tmp_path)


def test_a_port_that_another_program_holds_is_named_and_the_program_left_alone(
    program: Program, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", program.port)) as other:
        with pytest.raises(StartError, match=f"port {program.port}, which server needs, is taken"):
            start(program, tmp_path)
        assert other.getsockname() == ("127.0.0.1", program.port)
    assert not pid_file("server", tmp_path).exists()


def test_a_process_that_came_to_have_a_recorded_id_is_left_alone(
    program: Program, tmp_path: Path
) -> None:
    other = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        an_hour_before = psutil.Process(other.pid).create_time() - 3600
        pid_file("server", tmp_path).write_text(
            json.dumps({"pid": other.pid, "created": an_hour_before})
        )
        assert not stop("server", tmp_path)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_record_that_was_cut_off_is_none_and_the_program_is_started_again(
    program: Program, tmp_path: Path
) -> None:
    pid_file(program.name, tmp_path).write_text('{"pid": 1')
    assert recorded(program.name, tmp_path) is None
    stop(program.name, tmp_path)
    started = start(program, tmp_path)
    try:
        assert recorded(program.name, tmp_path) == started
    finally:
        stop(program.name, tmp_path)
