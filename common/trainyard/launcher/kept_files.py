"""The service's copies of what a run's process writes on another host, or what each of its ranks does."""

from pathlib import Path

from trainyard.launcher.host_messages import KEPT_FILES, Piece
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome
from trainyard.worker.log_limit import cut

LOG, METRICS = KEPT_FILES
PIECE_BYTES = 2**20


class KeptFiles:
    """Of a process that trains a run alone: its files are the run's."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @property
    def brought(self) -> tuple[str, ...]:
        """The files that a new process goes on with where an earlier one ended."""
        return tuple(self._copies)

    def sizes(self) -> dict[str, int]:
        """How much of each file is here."""
        return {name: _size(path) for name, path in self._copies.items()}

    def read(self, name: str, offset: int) -> bytes:
        """A part of a file from there on; empty at its end."""
        try:
            with self._copies[name].open("rb") as file:
                file.seek(offset)
                return file.read(PIECE_BYTES)
        except FileNotFoundError:
            return b""

    def put(self, piece: Piece) -> None:
        """The file holds this from there on, and what it held before up to there. Raises OSError."""
        if piece.name in self._copies:
            put_at(self._copies[piece.name], piece.offset, piece.data)

    def end(self, outcome: Outcome) -> None:
        """The process has left this. Raises OSError."""
        self.folder.write_outcome(outcome)

    @property
    def _copies(self) -> dict[str, Path]:
        return {LOG: self.folder.log, METRICS: self.folder.metrics}


class RankFiles(KeptFiles):
    """Of one rank of several: rank 0 has the run's metrics, and all write to the run's log.

    Each rank's log is kept by itself too, as that says how much of it is here. `log_limit_mb` is for the run's log.
    """

    def __init__(self, folder: RunFolder, rank: int, log_limit_mb: int) -> None:
        super().__init__(folder)
        self._rank = rank
        self._log_limit_mb = log_limit_mb
        self._log = folder.log_of_rank(rank)

    @property
    def brought(self) -> tuple[str, ...]:
        """Each attempt's ranks have logs of their own."""
        return () if self._rank else (METRICS,)

    def put(self, piece: Piece) -> None:
        """Whole lines of a log are put at the end of the run's, so that no two ranks' are mixed. Raises OSError."""
        if piece.name != LOG:
            super().put(piece)
            return
        data = piece.data[: piece.data.rfind(b"\n") + 1] or piece.data
        with self.folder.log.open("ab") as log:
            log.write(data)
        cut(self.folder.log, self._log_limit_mb)
        self._log.parent.mkdir(exist_ok=True)
        put_at(self._log, piece.offset, data)

    def end(self, outcome: Outcome) -> None:
        """As an outcome of this rank. MLflow has no log yet that all ranks wrote to."""
        own = self.folder.of_rank(self._rank)
        own.path.mkdir(exist_ok=True)
        own.write_outcome(outcome.model_copy(update={"log_uploaded": False}))

    @property
    def _copies(self) -> dict[str, Path]:
        return {LOG: self._log} | ({} if self._rank else {METRICS: self.folder.metrics})


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def put_at(path: Path, offset: int, data: bytes) -> None:
    """The file holds this from there on, and what it held before up to there. Raises OSError."""
    with path.open("ab") as file:
        file.truncate(offset)
        file.write(data)
