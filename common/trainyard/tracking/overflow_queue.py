"""A queue of what MLflow has still to be told, whose memory is bounded however long MLflow is away."""

import json
import os
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from mlflow.entities import Metric, Param, RunTag

MEMORY_LIMIT = 20_000
"""Entries kept in memory, about 10 MB; a training of 100,000 rounds writes some 400,000 in an outage."""
WRITABLE: dict[str, Any] = {kind.__name__: kind for kind in (Metric, Param, RunTag)}


class OverflowQueue:
    """First in, first out. Entries beyond `limit` wait in a file in `folder`, which has no name and ends with the process.

    Nothing is dropped and the order is kept: once an entry is in the file, all later ones go there until
    it has been read back. Entries other than metrics, params and tags are few, and stay in memory.
    Not safe for several threads: the caller has a lock. `append` raises OSError where the disk is full.
    """

    def __init__(self, folder: Path | None = None, limit: int = MEMORY_LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._memory: deque[Any] = deque()
        self._file: IO[bytes] | None = None
        self._in_file = 0
        self._read_to = 0
        self._not_writable: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._memory) + self._in_file

    def append(self, entry: Any) -> None:
        """Add it at the end."""
        if self._in_file or len(self._memory) >= self._limit:
            self._write(entry)
        else:
            self._memory.append(entry)

    def take(self, most: int) -> list[Any]:
        """Remove the first entries, `most` of them or fewer, and return them."""
        if not self._memory and self._in_file:
            self._read_back()
        return [self._memory.popleft() for _ in range(min(most, len(self._memory)))]

    def put_back(self, entries: Sequence[Any]) -> None:
        """Return entries that were taken to the front."""
        self._memory.extendleft(reversed(entries))

    def _write(self, entry: Any) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - it lives as long as the queue
        kind = type(entry).__name__
        if kind in WRITABLE:
            line = json.dumps([kind, dict(entry)])
        else:
            self._not_writable.append(entry)
            line = "null"
        self._file.write(line.encode() + b"\n")
        self._in_file += 1

    def _read_back(self) -> None:
        """Move entries from the file to the memory; once all are read, the file is empty again."""
        if self._file is None:
            return
        self._file.seek(self._read_to)
        for _ in range(min(self._limit, self._in_file)):
            self._memory.append(self._entry(self._file.readline()))
            self._in_file -= 1
        self._read_to = self._file.tell() if self._in_file else 0
        if not self._in_file:
            self._file.truncate(0)
        self._file.seek(0, os.SEEK_END)

    def _entry(self, line: bytes) -> Any:
        found = json.loads(line)
        if found is None:
            return self._not_writable.popleft()
        kind, fields = found
        return WRITABLE[kind](**fields)
