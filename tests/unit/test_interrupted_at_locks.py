"""SIGTERM may come at any moment of what a run does, also where Python's own code takes a lock that threads wait for."""

import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import MagicMock

from trainyard.rundir.metric_journal import Journal
from trainyard.trainer import Interrupted
from trainyard.worker.child import SECONDS_OF_A_TURN
from trainyard.worker.reporting import Progress

TIMES = 100


def interrupt() -> None:
    """Interrupt this thread many times as it uses locks, and look from another one whether they are free."""
    with TemporaryDirectory() as folder:
        Progress(MagicMock(), "", Journal(Path(folder) / "metrics.jsonl"))
    sys.setswitchinterval(SECONDS_OF_A_TURN)
    condition, turn, held = threading.Condition(), SimpleQueue[int | None](), SimpleQueue[int]()

    def signal_and_look() -> None:
        while (number := turn.get()) is not None:
            any(number < 0 for _ in range(number))
            os.kill(os.getpid(), signal.SIGTERM)
            turn.get()
            locks: tuple[Any, ...] = (logging._lock, condition)  # type: ignore[attr-defined]
            free = [each.acquire(timeout=0.5) for each in locks]
            for each in (each for each, is_free in zip(locks, free, strict=True) if is_free):
                each.release()
            held.put(free.count(False))

    threading.Thread(target=signal_and_look, daemon=True).start()
    for number in range(TIMES):
        with suppress(Interrupted):
            turn.put(number % 53)
            while True:
                logging.getLogger("any")
                with condition:
                    pass
        turn.put(0)
        if held.get():
            sys.stdout.write(f"a lock is held after {number}")
            return
    turn.put(None)
    sys.stdout.write("all are free")


def test_no_lock_stays_taken() -> None:
    """A thread that sends metrics to MLflow waited for `logging` then, and what was measured last was lost."""
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout == "all are free", done.stderr


if __name__ == "__main__":
    interrupt()
