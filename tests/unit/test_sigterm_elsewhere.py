"""A process of a run of several workers, which hears SIGTERM in another thread, between two of its steps."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pyarrow as pa
from pyarrow import csv
from trainyard.rundir.metric_journal import Journal
from trainyard.worker.child import _hear_sigterm_elsewhere
from trainyard.worker.reporting import Progress

BLOCKS = 40
LINES = 256


class Signalled(io.RawIOBase):
    """Lines of a CSV, half of which come before SIGTERM."""

    blocks = 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        self.blocks += 1
        if self.blocks == BLOCKS // 2:
            os.kill(os.getpid(), signal.SIGTERM)
        block = b"1,2\n" * LINES if self.blocks <= BLOCKS else b""
        into[: len(block)] = block
        return len(block)


def read_on() -> None:
    heard = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: heard.set())
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    _hear_sigterm_elsewhere()
    options = csv.ReadOptions(block_size=4 * LINES, column_names=["a", "b"])
    table = csv.read_csv(Signalled(), read_options=options)
    is_heard = any(heard.wait(0.05) for _ in range(1200))  # this thread wakes for no signal
    sys.stdout.write(f"{table.num_rows} rows, heard: {is_heard}")


def test_what_arrow_reads_is_not_broken_off_by_it() -> None:
    """The run was called crashed: Arrow's own handler sent the signal on to the thread that does not hear it."""
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == f"{BLOCKS * LINES} rows, heard: True", done.stderr


def test_it_is_heard_here_again_once_the_ranks_meet_no_more(tmp_path: Path) -> None:
    """So that it breaks off what this thread waits for, such as for MLflow."""
    handler, mask = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        progress = Progress(MagicMock(), "", Journal(tmp_path / "metrics.jsonl"))
        _hear_sigterm_elsewhere()
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        progress.trained()
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, handler)
        pa.enable_signal_handlers(True)


if __name__ == "__main__":
    read_on()
