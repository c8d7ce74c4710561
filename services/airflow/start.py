"""Starts one of Airflow's parts: `start.py api-server | scheduler | … | init | heartbeat PART`; what it needs first is made here."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen


def main() -> None:
    """Prepare what this part needs, and become it."""
    part, *arguments = sys.argv[1:]
    os.umask(0o077)
    Path(os.environ["AIRFLOW_HOME"]).mkdir(parents=True, exist_ok=True)
    if part == "init":
        init()
        return
    if part == "heartbeat":
        heartbeat(*arguments)
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
    """Run one of Airflow's commands, and end as it ended where it failed: the reason, which it printed, stays the last line."""
    done = subprocess.run(["airflow", *arguments], check=False)  # noqa: S603, S607 - the image's own
    if done.returncode:
        sys.exit(done.returncode)


def heartbeat(part: str) -> None:
    """Exit with 1 unless Airflow's API server finds this part's heartbeat fresh."""
    health = (
        os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].removesuffix("/execution/")
        + "/api/v2/monitor/health"
    )
    with urlopen(health, timeout=25) as answer:  # noqa: S310 - always http
        found = json.load(answer)[part]
    if found["status"] != "healthy":
        sys.exit(f"{part}: {found}")


def write_passwords() -> None:
    """Give the simple auth manager the admin's password; it would make one up and print it."""
    file = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    file.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))


if __name__ == "__main__":
    main()
