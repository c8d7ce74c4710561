"""What people did, as lines of JSON on disk: bounded, and read in pages from the newest on."""

import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import Field, ValidationError

from trainyard.contract import Role, Wire
from trainyard.disk_space import whole

FILE_BYTES = 4_000_000
MOST_FILES = 10
"""With the bytes of one: 40 MB, about 150,000 entries; the oldest file goes when another is begun."""


class Entry(Wire):
    """One call that changed something, or was refused for its role."""

    at: datetime
    by: str | None = Field(
        None, description="Whose token it was; null where the service asks for none"
    )
    team: str | None = None
    role: Role | None = None
    call: str = Field(description="Method and path")
    status: int = Field(description="How it was answered")
    run_id: str | None = None
    about: str | None = Field(None, description="What was asked for, or decided, in words")
    address: str | None = Field(None, description="Where the call came from")


class AuditPage(Wire):
    """Entries, newest first; `cursor` asks for the next page and is null on the last."""

    entries: list[Entry]
    cursor: int | None = None


class AuditTrail:
    """The files of one folder: each is named by the number of its first line, so that an entry's number is its place.

    One process writes; any thread may. A line that a crash left half written is cut off.
    """

    def __init__(
        self, folder: Path, *, file_bytes: int = FILE_BYTES, most_files: int = MOST_FILES
    ) -> None:
        self._folder = folder
        self._file_bytes = file_bytes
        self._most_files = most_files
        self._turn = threading.Lock()
        self._next: int | None = None

    def write(self, entry: Entry) -> None:
        """Append the entry; it is in the file when this returns. Raises OSError."""
        line = entry.model_dump_json(exclude_none=True).encode() + b"\n"
        with self._turn:
            if self._next is None:
                self._next = self._mended()
            file = self._newest()
            if file is None or file.stat().st_size + len(line) > self._file_bytes:
                file = self._begun(self._next)
            number, self._next = (
                self._next,
                None,
            )  # what is cut off by a full disk is taken away before the next
            with file.open("ab", buffering=0) as out:
                whole(out.write(line), line)
            self._next = number + 1

    def page(self, *, limit: int, before: int | None = None) -> AuditPage:
        """At most `limit` entries, the newest first, of those whose number is below `before`. Raises OSError."""
        found: list[Entry] = []
        number = before
        for number, line in self._from(before):  # noqa: B007 - the last one is the cursor
            entry = _read(line)
            if entry is not None:
                found.append(entry)
            if len(found) == limit:
                break
        more = len(found) == limit and number is not None and number > self._oldest()
        return AuditPage(entries=found, cursor=number if more else None)

    def _from(self, before: int | None) -> Iterator[tuple[int, bytes]]:
        """Numbers and lines, backwards."""
        for file in reversed(self._files()):
            first = int(file.stem)
            if before is not None and first >= before:
                continue
            lines = file.read_bytes().split(b"\n")[:-1]
            newest = len(lines) if before is None else min(len(lines), before - first)
            for place in range(newest - 1, -1, -1):
                yield first + place, lines[place]

    def _files(self) -> list[Path]:
        if not self._folder.exists():
            return []
        return sorted(file for file in self._folder.iterdir() if file.suffix == ".jsonl")

    def _newest(self) -> Path | None:
        return next(reversed(self._files()), None)

    def _oldest(self) -> int:
        return next((int(file.stem) for file in self._files()), 0)

    def _begun(self, number: int) -> Path:
        """A new file; the oldest ones make room for it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._files()[: -(self._most_files - 1) or None]:
            old.unlink()
        file = self._folder / f"{number:015}.jsonl"
        file.touch(mode=0o600)
        return file

    def _mended(self) -> int:
        """The number of the next line, after what a crash left of one was cut off."""
        file = self._newest()
        if file is None:
            return 1
        content = file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.truncate(file, whole)
        return int(file.stem) + content.count(b"\n")


def _read(line: bytes) -> Entry | None:
    """The entry; None for a line that somebody damaged."""
    try:
        return Entry.model_validate_json(line)
    except ValidationError:
        return None
