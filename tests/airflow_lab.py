"""A real Airflow for the tests: an AIRFLOW_HOME of its own on SQLite, its parts as processes that can be killed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from airflow_api import AirflowApi, logged_in
from servers import ROOT, SELDOM, START_SECONDS, WEB, free_port, until

AIRFLOW = ROOT / ".venvs/airflow/bin/airflow"
SELDOM_COLLECTED = [AIRFLOW.with_name("python"), SELDOM]
DAGS = ROOT / "dags"
# What is dead is noticed within seconds, where an installation waits for minutes. Only for tests that kill: on a busy
# machine a part that is merely slow is taken for dead, and a task of it fails.
DEATH_IS_NOTICED_SOON = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "8",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
}

ANSWER = "ANSWER "
ANSWERING = f"""
import json, sys
for line in sys.stdin:
    print({ANSWER!r} + json.dumps(answer(*json.loads(line))), flush=True)
"""
COMMAND = """
import os, sys, tempfile, traceback
from airflow.__main__ import main

def answer(*arguments):
    sys.argv, code = ["airflow", *arguments], 0
    kept = [(number, os.dup(number)) for number in (1, 2)]
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        try:
            for number, _ in kept:
                os.dup2(said.fileno(), number)
            main()
        except SystemExit as error:
            code = error.code or 0
            if isinstance(code, str):  # what Python says, and ends with 1
                print(code, file=sys.stderr)
                code = 1
        except BaseException:
            traceback.print_exc()
            code = 1
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number, copy in kept:
                os.dup2(copy, number)
                os.close(copy)
        said.seek(0)
        return [code, said.read()]
"""
EMPTY_DATABASES: list[Path] = []
"""A database as `airflow db migrate` makes it, once one was made: that takes 15 s, a copy none."""


def connections(addresses: Mapping[str, str]) -> dict[str, str]:
    """An HTTP connection `trainyard_<name>` for each address, as Airflow reads them from the environment."""
    found = {}
    for name, url in addresses.items():
        address = httpx.URL(url)
        parts = {
            "conn_type": "http",
            "schema": address.scheme,
            "host": address.host,
            "port": address.port,
        }
        found[f"AIRFLOW_CONN_TRAINYARD_{name.upper()}"] = json.dumps(parts)
    return found


def settings(home: Path, port: int, dags: Path) -> dict[str, str]:
    """What makes an Airflow of `home`, on `port` of the loopback."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": "of the tests",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests, long enough to sign with",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
        # No file changes while it is looked at; each look costs a process seconds of a core.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
        "NO_PROXY": "127.0.0.1,localhost",
        "TMPDIR": str(home),
    }


class Interpreter:
    """Airflow's Python with a program that defines `answer`: what takes seconds to import is imported once for all questions."""

    def __init__(self, program: str, home: Path, **variables: str) -> None:
        self._log = (home / "interpreter.log").open("wb+")
        self._process = subprocess.Popen(
            [*SELDOM_COLLECTED, "-c", program + ANSWERING],
            env={**os.environ, "AIRFLOW_HOME": str(home), "NO_PROXY": "127.0.0.1", **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def ask(self, *given: Any) -> Any:
        """What the program's `answer` gives for these, which travel as JSON."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        self._log.seek(0)
        return pytest.fail(f"the interpreter ended\n{self._log.read().decode(errors='replace')}")

    def close(self) -> None:
        self._process.communicate()
        self._log.close()


@dataclass
class Airflow:
    """An Airflow with its database, and nothing of it running until `start`."""

    home: Path
    environment: dict[str, str]
    port: int
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    api: AirflowApi | None = None

    @classmethod
    def make(
        cls, home: Path, addresses: Mapping[str, str], *, dags: Path = DAGS, **variables: str
    ) -> "Airflow":
        home.mkdir(parents=True, exist_ok=True)
        (home / "passwords.json").write_text('{"admin": "admin"}')
        port = free_port()
        made = cls(
            home,
            {**os.environ, **settings(home, port, dags), **connections(addresses), **variables},
            port,
        )
        made.environment.pop("PYTHONPATH", None)
        if EMPTY_DATABASES:
            shutil.copy(EMPTY_DATABASES[0], home / "airflow.db")
        else:
            made.run("db", "migrate")
            EMPTY_DATABASES.append(Path(shutil.copy(home / "airflow.db", home / "empty.db")))
        return made

    @classmethod
    def at_work_on(
        cls, home: Path, addresses: Mapping[str, str], *, dags: Path, **variables: str
    ) -> Iterator["Airflow"]:
        """One with all its parts running, stopped in the end."""
        made = cls.make(home, addresses, dags=dags, **variables)
        made.start("api-server", "scheduler", "dag-processor", "triggerer")
        yield made
        made.stop()

    def run(self, *arguments: str, code: int = 0) -> str:
        """What `airflow …` prints; it has to end with `code`."""
        done = subprocess.run(
            [*SELDOM_COLLECTED, AIRFLOW, *arguments],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"airflow {' '.join(arguments)}:\n{done.stdout[-12000:]}"
        return done.stdout

    @contextlib.contextmanager
    def commands(self) -> Iterator[Callable[..., str]]:
        """Runs `airflow …` as `run` does, one command after the other in one process, which imports and builds once what takes ten seconds."""
        interpreter = Interpreter(COMMAND, self.home, **self.environment)

        def run(*arguments: str, code: int = 0) -> str:
            ended, said = interpreter.ask(*arguments)
            assert ended == code, f"airflow {' '.join(arguments)}:\n{said[-12000:]}"
            return str(said)

        try:
            yield run
        finally:
            interpreter.close()

    def start(self, *parts: str) -> None:
        """Start the parts, by their names in `airflow`, and wait until they are at work."""
        if "api-server" in parts:
            # First: a task that the scheduler starts before it answers fails, and is tried again five minutes later.
            self._launch("api-server")
            self.api = until(
                self._logged_in,
                "the API server",
                START_SECONDS,
                explain=lambda: self.tail("api-server"),
            )
        for part in parts:
            if part != "api-server":
                self._launch(part)
        for part in parts:
            until(
                partial(self.at_work, part), part, START_SECONDS, explain=partial(self.tail, part)
            )

    def _launch(self, part: str) -> None:
        with (self.home / f"{part}.log").open("ab") as log:
            self.parts[part] = subprocess.Popen(
                [
                    *SELDOM_COLLECTED,
                    AIRFLOW,
                    part,
                    *(["--skip-serve-logs"] if part in {"scheduler", "triggerer"} else []),
                ],
                env=self.environment,
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def at_work(self, part: str) -> bool:
        name = part.replace("-", "_")
        health = WEB.get(f"http://127.0.0.1:{self.port}/api/v2/monitor/health", timeout=60).json()
        return name == "api_server" or health[name]["status"] == "healthy"

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill a part with all its processes, at once."""
        process = self.parts.pop(part)
        family = [
            psutil.Process(process.pid),
            *psutil.Process(process.pid).children(recursive=True),
        ]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)
        process.wait(30)
        psutil.wait_procs(family[1:], timeout=30)

    def stop(self) -> None:
        for part in [*self.parts]:
            self.kill(part)
        if self.api:
            self.api.http.close()

    def tail(self, part: str) -> str:
        file = self.home / f"{part}.log"
        return file.read_text(errors="replace")[-3000:] if file.exists() else ""

    def _logged_in(self) -> AirflowApi | None:
        with contextlib.suppress(httpx.HTTPError):
            return AirflowApi(
                logged_in(f"http://127.0.0.1:{self.port}", "admin"), patience_seconds=240
            )
        return None
