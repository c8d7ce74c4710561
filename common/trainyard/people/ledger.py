"""What each run used, a line of JSON each, in a file a month: what `GET /usage` adds up."""

import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from trainyard.contract import Run, RunStatus, TeamUsage, Usage, Wire
from trainyard.disk_space import whole

MONTH = re.compile(r"\d{4}-\d{2}")


class Line(Wire):
    """One run that has ended."""

    run_id: str
    team: str | None = None
    by: str | None = None
    status: RunStatus
    usage: Usage


class Ledger:
    """The files of one folder. One process writes; any thread may. A run that is written twice counts as it was first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._added: dict[str, tuple[int, list[TeamUsage]]] = {}
        """Of each month, the bytes of its file and what was added up of it."""

    def write(self, run: Run) -> None:
        """Note what a run used that has ended. Raises OSError."""
        if run.usage is None or run.ended_at is None:
            return
        line = Line(
            run_id=run.run_id,
            team=run.team,
            by=run.submitted_by,
            status=run.status,
            usage=run.usage,
        )
        with self._turn:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{run.ended_at:%Y-%m}.jsonl"
            with path.open("ab", buffering=0) as file:
                start = b"" if file.tell() == 0 or _ends_whole(path) else b"\n"
                text = start + line.model_dump_json().encode() + b"\n"
                whole(file.write(text), text)

    def report(self, month: str | None = None) -> list[TeamUsage]:
        """What each team used, of one month or of all there are, newest first. Raises OSError."""
        found: list[TeamUsage] = []
        for path in sorted(self._files(), reverse=True):
            if month in {None, path.stem}:
                found += self._of(path)
        return found

    def _files(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from (file for file in self._folder.iterdir() if MONTH.fullmatch(file.stem))

    def _of(self, path: Path) -> list[TeamUsage]:
        """Added up anew only where the file has grown."""
        size = path.stat().st_size
        known = self._added.get(path.stem)
        if known is None or known[0] != size:
            known = self._added[path.stem] = size, added_up(path.stem, _lines(path))
        return known[1]


def added_up(month: str, lines: Iterable[Line]) -> list[TeamUsage]:
    """What each team used, the largest user of slots first."""
    once = {line.run_id: line for line in reversed(list(lines))}
    teams: dict[str | None, list[Line]] = defaultdict(list)
    for line in once.values():
        teams[line.team].append(line)
    rows = [_row(month, team, its) for team, its in teams.items()]
    return sorted(rows, key=lambda row: (-row.run_seconds, row.team or ""))


def _row(month: str, team: str | None, lines: list[Line]) -> TeamUsage:
    used = [line.usage for line in lines]
    return TeamUsage(
        month=month,
        team=team,
        runs=len(lines),
        finished=sum(line.status is RunStatus.FINISHED for line in lines),
        queue_seconds=sum(each.queue_seconds for each in used),
        run_seconds=sum(each.run_seconds for each in used),
        cpu_seconds=sum(each.cpu_seconds or 0.0 for each in used),
        gpu_seconds=sum(each.gpu_seconds for each in used),
        not_seen=sum(each.cpu_seconds is None for each in used),
    )


def _lines(path: Path) -> Iterator[Line]:
    for line in path.read_bytes().splitlines():
        with suppress(ValidationError):  # cut short by a crash, or damaged
            yield Line.model_validate_json(line)


def _ends_whole(path: Path) -> bool:
    """Whether a crash left nothing half written at the end."""
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
