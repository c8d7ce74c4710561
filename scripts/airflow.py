"""Runs Airflow's parts side by side until one of them ends: `airflow.py PATH/TO/airflow`.

`airflow standalone` would do nearly that; its parts also serve their logs to the whole network.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress

PARTS = {
    "api-server": [],
    "scheduler": ["--skip-serve-logs"],
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],
}


def main() -> None:
    """Bring the database up to date, start the parts, and stop all of them when one ends or this is asked to."""
    airflow = sys.argv[1]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    subprocess.run([airflow, "db", "migrate"], check=True)
    parts = {
        subprocess.Popen([airflow, name, *options]).pid: name for name, options in PARTS.items()
    }
    try:
        pid, status = os.wait()
        sys.exit(f"{parts.get(pid, pid)} ended with {os.waitstatus_to_exitcode(status)}")
    finally:
        for pid in parts:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    main()
