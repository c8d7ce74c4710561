"""Keeps a run's training.log below a size, however much the run prints."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS = 1.0
END_BYTES = 2**16
"""How much of the end is kept at least, such as what a run says that fails."""


def keep_below(log: Path, most_mb: int) -> None:
    """Look at the log every second, in a thread of its own, and cut it whenever it has become too long."""
    threading.Thread(target=_watch, args=(log, most_mb), name="log-limit", daemon=True).start()


def cut(log: Path, most_mb: int) -> None:
    """Where the log is too long, keep its first half and its end, and say in a line between them what happened.

    Who follows the log misses what was dropped. The run's processes must append to the log, as they do: then each of
    them goes on at the new end.
    """
    most_bytes = most_mb * 2**20
    if log.stat().st_size <= most_bytes:
        return
    with log.open("rb") as file:
        file.seek(-END_BYTES, os.SEEK_END)
        end = file.read()
    os.truncate(log, most_bytes // 2)
    said = f"\n[training.log had more than {most_mb} MB (TRAINYARD_LOG_LIMIT_MB): what stood here was dropped]\n"
    with log.open("ab") as file:
        file.write(said.encode() + end)


def _watch(log: Path, most_mb: int) -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        with suppress(OSError):
            cut(log, most_mb)
