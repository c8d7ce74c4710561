"""The study of a search where another host finds it, where the service names such a place.

    PLACE/RUN_ID/search/00000003/study.tar.gz     the journal, and the records of the trials

It is kept after the first trial that ends, and then every `CHECKPOINT_SECONDS` at most. MLflow is told of a trial once
it is kept: of what a lost host took with it MLflow has nothing, and its number is free for another trial.
"""

import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from trainyard.launcher.messages import Job
from trainyard.rundir.checkpoint_store import CheckpointStore
from trainyard.worker.checkpoints import taken
from trainyard.worker.reporting import CHECKPOINT_SECONDS
from trainyard.worker.search.study import JOURNAL

ARCHIVE = "study.tar.gz"
PLACE = "search"


class KeptStudy:
    """What is kept of the study in `folder`. `tell` is called with the number of each trial that is."""

    def __init__(
        self,
        store: CheckpointStore | None,
        folder: Path,
        *,
        tell: Callable[[int], None],
        clock: Callable[[], float],
    ) -> None:
        """Without a store a trial is told of at once."""
        self._store, self._folder = store, folder
        self._tell, self._clock = tell, clock
        self._ended: list[int] = []
        self._due = clock()

    @classmethod
    def taken(
        cls,
        job: Job,
        folder: Path,
        *,
        tell: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """That of the run, whose study is in the folder now if one was kept. Raises `CheckpointsAway`."""
        with TemporaryDirectory(prefix="taken-", dir=folder) as found:
            store = taken(job, Path(found), PLACE)
            archive = Path(found) / ARCHIVE
            if archive.exists() and not (folder / JOURNAL).exists():
                with tarfile.open(archive) as packed:
                    packed.extractall(folder, filter="data")
        return cls(store, folder, tell=tell, clock=clock)

    def ended(self, number: int) -> None:
        """The trial has ended, and its record is in the folder."""
        self._ended.append(number)
        self.look()

    def look(self) -> None:
        """Keep what is due."""
        if self._ended and (self._store is None or self._clock() >= self._due):
            self._keep()

    def finish(self) -> None:
        """The search is over: keep what is not kept yet, and tell of it whether that worked or not."""
        if self._ended:
            self._keep()
        self._say()

    def _keep(self) -> None:
        """What cannot be kept now does no harm, and is tried again."""
        try:
            if self._store:
                self._give(self._store)
        except OSError as error:
            sys.stdout.write(f"the study is not kept in TRAINYARD_CHECKPOINTS: {error}\n")
        else:
            self._say()
        self._due = self._clock() + CHECKPOINT_SECONDS

    def _give(self, store: CheckpointStore) -> None:
        with TemporaryDirectory(prefix="given-", dir=self._folder) as made:
            with tarfile.open(Path(made) / ARCHIVE, "w:gz", compresslevel=1) as packed:
                for file in (self._folder / JOURNAL, *self._folder.glob("*.json")):
                    packed.add(file, file.name)
            store.give(Path(made))

    def _say(self) -> None:
        for number in self._ended:
            self._tell(number)
        self._ended.clear()
