"""A real Airflow for the tests: an AIRFLOW_HOME of its own on SQLite, its parts as processes that can be killed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from servers import ROOT, Server, free_port, until

AIRFLOW = ROOT / ".venvs/airflow/bin/airflow"
DAGS = ROOT / "dags"
ENDED = frozenset({"success", "failed"})


def connections(addresses: Mapping[str, str]) -> dict[str, str]:
    """An HTTP connection `trainyard_<name>` for each address, as Airflow reads them from the environment."""
    found = {}
    for name, url in addresses.items():
        address = httpx.URL(url)
        parts = {"conn_type": "http", "schema": address.scheme, "host": address.host, "port": address.port}
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
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # What is dead is noticed within seconds, where an installation waits for minutes.
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "8",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
        "NO_PROXY": "127.0.0.1,localhost",
        "TMPDIR": str(home),
    }


@dataclass
class Airflow:
    """An Airflow with its database, and nothing of it running until `start`."""

    home: Path
    environment: dict[str, str]
    port: int
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    http: httpx.Client | None = None

    @classmethod
    def make(cls, home: Path, addresses: Mapping[str, str], *, dags: Path = DAGS, **variables: str) -> "Airflow":
        home.mkdir(parents=True, exist_ok=True)
        (home / "passwords.json").write_text('{"admin": "admin"}')
        port = free_port()
        made = cls(home, {**os.environ, **settings(home, port, dags), **connections(addresses), **variables}, port)
        made.environment.pop("PYTHONPATH", None)
        made.run("db", "migrate")
        return made

    def run(self, *arguments: str, code: int = 0) -> str:
        """What `airflow …` prints; it has to end with `code`."""
        done = subprocess.run(
            [AIRFLOW, *arguments], env=self.environment, cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=300, check=False,
        )
        assert done.returncode == code, f"airflow {' '.join(arguments)}:\n{done.stdout[-12000:]}"
        return done.stdout

    def start(self, *parts: str) -> None:
        """Start the parts, by their names in `airflow`, and wait until they are at work."""
        for part in parts:
            log = (self.home / f"{part}.log").open("ab")
            self.parts[part] = subprocess.Popen(
                [AIRFLOW, part, *(["--skip-serve-logs"] if part in {"scheduler", "triggerer"} else [])], env=self.environment, cwd=self.home, stdout=log, stderr=log, start_new_session=True
            )
            log.close()
        if "api-server" in parts:
            self.http = until(self._logged_in, f"the API server\n{self.tail('api-server')}")
        for part in parts:
            until(lambda part=part: self.at_work(part), f"{part}\n{self.tail(part)}")

    def at_work(self, part: str) -> bool:
        name = part.replace("-", "_")
        health = httpx.get(f"http://127.0.0.1:{self.port}/api/v2/monitor/health", timeout=10).json()
        return name == "api_server" or health[name]["status"] == "healthy"

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill a part with all its processes, at once."""
        process = self.parts.pop(part)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)
        process.wait(30)
        psutil.wait_procs(family[1:], timeout=30)

    def stop(self) -> None:
        for part in [*self.parts]:
            self.kill(part)
        if self.http:
            self.http.close()

    def tail(self, part: str) -> str:
        file = self.home / f"{part}.log"
        return file.read_text(errors="replace")[-3000:] if file.exists() else ""

    def _logged_in(self) -> httpx.Client | None:
        url = f"http://127.0.0.1:{self.port}"
        try:
            answer = httpx.post(f"{url}/auth/token", json={"username": "admin", "password": "admin"}, timeout=10)
        except httpx.HTTPError:
            return None
        if answer.is_error:
            return None
        return httpx.Client(base_url=f"{url}/api/v2", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}, timeout=30)

    # What a user does over the REST API

    def ask(self, method: str, path: str, **sent: Any) -> Any:
        assert self.http is not None
        answer = self.http.request(method, path, **sent)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Trigger a DAG, once Airflow knows it; the id of the DAG run."""
        until(lambda: self.knows(dag_id), f"{dag_id} to be parsed")
        return str(self.ask("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})["dag_run_id"])

    def knows(self, dag_id: str) -> bool:
        assert self.http is not None
        broken = self.ask("GET", "/importErrors")["import_errors"]
        assert not broken, broken
        return self.http.get(f"/dags/{dag_id}").is_success

    def task(self, dag_id: str, run: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        where = f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}"
        return dict(self.ask("GET", where if map_index < 0 else f"{where}/{map_index}"))

    def in_state(self, dag_id: str, run: str, task_id: str, *states: str | None) -> dict[str, Any]:
        """The task once it is in one of the states."""
        def there() -> dict[str, Any] | None:
            found = self.task(dag_id, run, task_id)
            return found if found["state"] in states else None
        return dict(until(there, f"{task_id} of {dag_id} to be {states}"))

    def ended(self, dag_id: str, run: str, seconds: float = 90) -> str:
        """How a DAG run ended."""
        def over() -> str | None:
            state = self.ask("GET", f"/dags/{dag_id}/dagRuns/{run}")["state"]
            return state if state in ENDED else None
        return str(until(over, f"{dag_id} {run} to end", seconds))

    def xcom(self, dag_id: str, run: str, task_id: str, key: str = "return_value") -> Any:
        where = f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.ask("GET", where, params={"deserialize": True})["value"]

    def log(self, dag_id: str, run: str, task_id: str, attempt: int = 1) -> str:
        where = f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}/logs/{attempt}"
        lines = self.ask("GET", where, params={"full_content": True})["content"]
        return "\n".join(each if isinstance(each, str) else f"{each.get('event', '')} {json.dumps(each)}" for each in lines)

    def mark(self, dag_id: str, run: str, task_id: str, state: str) -> None:
        self.ask("PATCH", f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}", json={"new_state": state})

    def clear(self, dag_id: str, run: str, *task_ids: str) -> None:
        body = {"dry_run": False, "dag_run_id": run, "task_ids": task_ids, "only_failed": False, "reset_dag_runs": True}
        self.ask("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)


def copied(dags: Path, *names: str, replacing: Callable[[str], str] = str) -> Path:
    """A folder of DAGs of the project's, changed as a test needs them."""
    dags.mkdir()
    for name in names:
        shutil.copy(DAGS / name, dags)
        file = dags / name
        file.write_text(replacing(file.read_text()))
    return dags


__all__ = ["AIRFLOW", "DAGS", "Airflow", "Server", "connections", "copied"]
