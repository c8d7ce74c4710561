"""The study's journal: a line of JSON for each thing that Optuna notes, of which one process is the only writer.

Optuna's own file locks, syncs and reads the file again for every note, of which a pruned trial of 100 rounds makes 30
while it waits. Here what was written is known without reading it, and the disk is waited for when a trial has ended: a
note that a killed process wrote is in the file all the same, and what a machine that fails takes away is of trials
that were under way, which are tried again.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

SET_TRIAL_STATE = 6
"""Optuna's `JournalOperation.SET_TRIAL_STATE_VALUES`: its numbers are a file format, and stay."""


class SoleJournal(BaseJournalBackend):
    """See `optuna.storages.journal.BaseJournalBackend`, but for its guarantee to other processes: there are none."""

    def __init__(self, path: Path) -> None:
        """Open it, or begin it; half a line that a kill left at the end is taken away. Raises OSError."""
        path.touch()
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(path, whole)
        self._notes: list[dict[str, Any]] = [json.loads(each) for each in text[:whole].splitlines()]
        self._file = path.open("ab")

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The notes from this one on, counted from 0."""
        return self._notes[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write them, and wait for the disk where a trial has ended. Raises OSError."""
        lines = [json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in logs]
        self._file.write(b"".join(lines))
        self._file.flush()
        if any(each["op_code"] == SET_TRIAL_STATE for each in logs):
            os.fsync(self._file.fileno())
        self._notes += [json.loads(each) for each in lines]
