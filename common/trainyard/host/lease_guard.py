"""Ends a host's runs when their lease is over, should the actor not: `python -m trainyard.host.lease_guard FOLDER`.

An actor that is frozen keeps no lease. This process does: it is told on standard
input until when the lease goes, by the clock that all processes of a host share, and ends what is noted in the folder
when nothing later was told in time.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from trainyard.launcher.forking import kill
from trainyard.launcher.process_id import parsed, started_ticks

SPARE_SECONDS = 0.5
"""After the end of the lease, in which the actor may do it itself."""
PROCESS = "process_id"


class LeaseGuard:
    """The actor's end of it."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "trainyard.host.lease_guard", str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def tell(self, ends_at: float) -> None:
        """The lease goes until then."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{ends_at}\n".encode())
            self._process.stdin.flush()


def noted(folder: Path) -> list[str]:
    """The ids of the processes that are noted in the folder."""
    found = []
    for file in folder.glob(f"*/{PROCESS}"):
        with suppress(OSError):
            found.append(file.read_text())
    return found


def end_all(process_ids: Iterable[str]) -> None:
    """Kill each of these processes, with its group."""
    for named in map(parsed, process_ids):
        if named and started_ticks(named[0]) == named[1]:
            with suppress(OSError):
                kill(named[0])


def main(folder: str, line: int = 0) -> None:
    """Until the actor, at the other end of the line, is gone and its lease is over."""
    ends_at, told = None, b""
    while True:
        left = None if ends_at is None else max(0.0, ends_at + SPARE_SECONDS - time.monotonic())
        if not select.select([line], [], [], left)[0]:
            end_all(noted(Path(folder)))
            ends_at = None
            continue
        read = os.read(line, 4096)
        if not read:
            break
        *lines, told = (told + read).split(b"\n")
        if lines:
            ends_at = float(lines[-1])
    # Now: what another actor notes there while this waits has a lease of its own.
    its = noted(Path(folder))
    if ends_at is not None:
        time.sleep(max(0.0, ends_at + SPARE_SECONDS - time.monotonic()))
    end_all(its)


if __name__ == "__main__":
    main(sys.argv[1])
