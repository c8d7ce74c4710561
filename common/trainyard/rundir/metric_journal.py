"""What a run has measured, kept on disk: the next process of the run sends what the one before it died with."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Measured(NamedTuple):
    """The metrics of one round or epoch, and when it was done in milliseconds since 1970."""

    step: int
    at: int
    metrics: dict[str, float]


class Journal:
    """The file of a run's metrics, a line a round. A line that was torn by a kill is as if it was never written."""

    def __init__(self, file: Path) -> None:
        self._earlier = {each.step: each for each in _read(file)}
        self._file = file.open("a", buffering=1, encoding="utf-8")
        if self._earlier:
            self._file.write("\n")  # ends the line that may be torn

    def before(self, step: float) -> list[Measured]:
        """What earlier processes measured before this step, which is the first of this one (infinity for none); told once."""
        found = [each for _, each in sorted(self._earlier.items()) if each.step < step]
        self._earlier.clear()
        return found

    def write(self, measured: Measured) -> None:
        """Keep a round's metrics."""
        self._file.write(json.dumps(measured) + "\n")


def measured(file: Path) -> list[Measured]:
    """What the file holds, by step; of a step that was done twice, the later one."""
    return [each for _, each in sorted({each.step: each for each in _read(file)}.items())]


def _read(file: Path) -> Iterator[Measured]:
    with suppress(FileNotFoundError):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, TypeError):
                yield Measured(*json.loads(line))
