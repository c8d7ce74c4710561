"""Starts one of Airflow's parts: `start.py api-server | scheduler | … | init`; what it needs first is made here.

`start.py health PART` is a container's health check. It imports no Airflow, because it is started every few seconds.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

PATIENCE_SECONDS = 20
PAUSE_SECONDS = 0.5
PING_SECONDS = 5
OWN_ADDRESS = {
    "api_server": "http://127.0.0.1:8080/api/v2/version",
    "scheduler": "http://127.0.0.1:8974/health",
}


def main() -> None:
    """Prepare what this part needs, and become it."""
    part, *arguments = sys.argv[1:]
    os.umask(0o077)
    Path(os.environ["AIRFLOW_HOME"]).mkdir(parents=True, exist_ok=True)
    if part == "init":
        init()
        return
    if part == "health":
        health(*arguments)
        return
    if part == "api-server":
        write_passwords()
    program = ["celery", "worker"] if part == "worker" else [part]
    os.execvp("airflow", ["airflow", *program, *arguments])  # noqa: S606, S607 - the image's own


def init() -> None:
    """Bring the database up to date, and make the connections of AIRFLOW_INIT_CONNECTIONS; again changes nothing."""
    airflow("db", "migrate")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(os.environ["AIRFLOW_INIT_CONNECTIONS"])
        file.flush()
        airflow("connections", "import", "--overwrite", file.name)


def airflow(*arguments: str) -> None:
    """Carry out one of Airflow's commands. In this process, because each would take a second to import Airflow."""
    from airflow.__main__ import main

    sys.argv = ["airflow", *arguments]
    main()


def health(part: str) -> None:
    """Exit with 1, and say why, unless the part is well; one that is being started is waited for."""
    signal.alarm(PATIENCE_SECONDS + PING_SECONDS)  # a broker that takes a question and says nothing
    end = time.monotonic() + PATIENCE_SECONDS
    while ailment := ailment_of(part, max(end - time.monotonic(), PAUSE_SECONDS)):
        if time.monotonic() > end - PAUSE_SECONDS:
            sys.exit(f"{part}: {ailment}")
        time.sleep(PAUSE_SECONDS)


def ailment_of(part: str, seconds: float) -> str:
    """What is wrong with the part, as somebody says within so many seconds; empty where nothing is."""
    try:
        if part == "worker":
            return "" if worker_answers(min(seconds, PING_SECONDS)) else "it does not answer"
        answer = answer_of(OWN_ADDRESS.get(part) or monitor(), seconds)
        found = {"status": "healthy"} if part in OWN_ADDRESS else json.loads(answer)[part]
    except (OSError, HTTPException, ValueError, KeyError) as error:
        return str(error) or repr(error)
    return "" if found["status"] == "healthy" else str(found)


def answer_of(url: str, seconds: float) -> bytes:
    """What a GET gives: HEAD is answered with 405. Raises `OSError` where it fails."""
    with urlopen(url, timeout=seconds) as answer:  # noqa: S310 - always http
        return bytes(answer.read())


def monitor() -> str:
    """Where the API server says how fresh the other parts' heartbeats are."""
    api = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    return api.removesuffix("/execution/") + "/api/v2/monitor/health"


def worker_answers(seconds: float) -> bool:
    """Whether this container's worker answers by the broker. One that does not listen yet never hears this question."""
    from celery import Celery
    from kombu.exceptions import OperationalError
    from redis.exceptions import RedisError

    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    app.conf.broker_transport_options = {"max_retries": 0, "socket_timeout": seconds}
    name = f"celery@{socket.gethostname()}"
    try:
        return bool(app.control.ping(destination=[name], timeout=seconds, limit=1))
    except (OperationalError, RedisError) as error:
        raise OSError(str(error)) from error


def write_passwords() -> None:
    """Give the simple auth manager the admin's password; it would make one up and print it."""
    file = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    file.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))


if __name__ == "__main__":
    main()
