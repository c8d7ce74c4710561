"""Starts programs in the background, waits until they answer, and stops them again, each by its id."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from sessions import Started, end

STOP_SECONDS = 30.0


class StartError(Exception):
    """A program could not be started; the message says why and what to do."""


@dataclass(frozen=True)
class Program:
    """What to run, and how it is known that it is ready: an address at which it answers 200, or words that it says."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    port: int
    ready_url: str = ""
    ready_words: str = ""
    """In its log; they go before an address."""


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(program: Program, home: Path) -> Started:
    """Start a program in a session of its own, with `NAME.log` and `NAME.pid` in `home`.

    What is left of the one before it is ended first: when the first process of MLflow is killed, its workers go on
    and hold the port.
    """
    if not running(program.name, home):
        stop(program.name, home)
    if not port_is_free(program.port):
        message = f"port {program.port}, which {program.name} needs, is taken by another program; stop that one first"
        raise StartError(message)
    home.mkdir(parents=True, exist_ok=True)
    with log_file(program, home).open("ab") as log:
        log_from = log.tell()
        process = subprocess.Popen(
            program.command,
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = Started(process.pid, psutil.Process(process.pid).create_time(), log_from)
    try:
        _record(started, pid_file(program.name, home))
    except OSError:
        process.kill()  # nobody would find it again
        raise
    return started


def _record(started: Started, file: Path) -> None:
    """Whole or not at all: a disk may be full."""
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(started)))
    draft.replace(file)


def wait_until_ready(
    program: Program, started: Started, home: Path, *, seconds: float = 90.0
) -> None:
    """Return when the program is ready; raises `StartError` with the end of its log when it does not get so far."""
    deadline = time.monotonic() + seconds
    while not is_ready(program, started, home):
        if not started.alive:
            raise StartError(f"{program.name} ended while it started:\n{log_tail(program, home)}")
        if time.monotonic() > deadline:
            raise StartError(
                f"{program.name} was not ready after {seconds:.0f} s:\n{log_tail(program, home)}"
            )
        time.sleep(0.1)


def is_ready(program: Program, started: Started, home: Path) -> bool:
    """Whether it has said its words since it was started, or answers."""
    if not program.ready_words:
        return answers(program.ready_url)
    with log_file(program, home).open("rb") as log:
        log.seek(started.log_from)
        return program.ready_words.encode() in log.read()


def answers(url: str) -> bool:
    """Whether this address answers 200; of tcp://, whether it listens."""
    at = urlsplit(url)
    if at.scheme == "tcp":
        with suppress(OSError), socket.create_connection((at.hostname, at.port), timeout=5):
            return True
        return False
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def recorded(name: str, home: Path) -> Started | None:
    """The process of that name which was started last, whether it still runs or not."""
    try:
        return Started(**json.loads(pid_file(name, home).read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def running(name: str, home: Path) -> Started | None:
    """The process of that name which was started earlier and still runs."""
    found = recorded(name, home)
    return found if found and found.alive else None


def stop(name: str, home: Path) -> bool:
    """End the program and all that it left behind. False when nothing of it was running."""
    found = recorded(name, home)
    was_running = bool(found and end(found, seconds=STOP_SECONDS))
    pid_file(name, home).unlink(missing_ok=True)
    return was_running


def log_tail(program: Program, home: Path, lines: int = 20) -> str:
    """The last lines that a program wrote."""
    log = log_file(program, home)
    text = log.read_text(errors="replace").splitlines()
    return "\n".join([*text[-lines:], f"(the whole log: {log})"])


def log_file(program: Program, home: Path) -> Path:
    """What the program, and those of its name before it, wrote."""
    return home / f"{program.name}.log"


def pid_file(name: str, home: Path) -> Path:
    """Where a program's id is kept."""
    return home / f"{name}.pid"
