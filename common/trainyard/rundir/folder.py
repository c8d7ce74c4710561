"""A run's work directory: what must outlive every process, written atomically.

    request.json    the submission
    state.json      how often the run was started, and what its transitions were
    training.log    what the run printed
    metrics.jsonl   what each round measured
    checkpoints/    where training resumes
    slots           how many slots a search may use beyond its own
    search/         the study of a run that searches, and what its trials measured
    artifacts/      what goes to MLflow as it is
    judged/         what goes there likewise, once the champion was judged
    tmp/            the run's temporary files
    logs/           of ranks on other hosts, each by itself; training.log has all of them
    ID-1/ ...       what ranks beside rank 0 have for themselves: temporary files, and an outcome where they failed
    process_id      by what id the newest process is known where it runs
    cancelled.json  that somebody cancelled it, and who
    registering     its process registers the model, which is done once, however often it is done
    outcome.json    how the run ended
    notices/        whom to tell of it, and who was told
    closed          MLflow has the final status

A file that cannot be read, because it was damaged, counts as not there: no single run keeps a service from starting.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from trainyard.contract import Caller
from trainyard.rundir.published import published
from trainyard.rundir.records import Cancelled, Notice, Outcome, State, Submission
from trainyard.scarcity import is_scarce

LONGEST_TEMPORARY_BYTES = 60
"""Sockets have at most 107 bytes of path; multiprocessing and PyTorch's data loader make theirs two names below this."""
log = structlog.get_logger()
Record = TypeVar("Record", bound=BaseModel)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. Writing raises OSError, such as on a full disk; a file is whole or as it was before."""

    path: Path

    @property
    def log(self) -> Path:
        """What the run printed."""
        return self.path / "training.log"

    @property
    def request(self) -> Path:
        """The submission's file."""
        return self.path / "request.json"

    @property
    def metrics(self) -> Path:
        """Each round's metrics, a line each."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The trainer's checkpoints."""
        return self.path / "checkpoints"

    @property
    def search(self) -> Path:
        """The study and the trials of a run that searches."""
        return self.path / "search"

    @property
    def end_of_search(self) -> Path:
        """There once the search is to end and its best to be trained, whatever trials are left."""
        return self.path / "end_of_search"

    @property
    def registering(self) -> Path:
        """There once a process of the run registers its model, and may promote it; until the run is closed."""
        return self.path / "registering"

    @property
    def slots(self) -> Path:
        """How many slots the search may use beyond its own."""
        return self.path / "slots"

    def lend(self, count: int) -> None:
        """Let the search use so many slots beyond its own. Raises OSError."""
        draft = self.path / "slots.tmp"
        draft.write_text(str(count))
        draft.replace(self.slots)

    @property
    def lent(self) -> int:
        """As many as `lend` said last; 0 where it has said none."""
        try:
            return int(self.slots.read_text())
        except (OSError, ValueError):
            return 0

    @property
    def artifacts(self) -> Path:
        """What goes to MLflow as it is."""
        return self.path / "artifacts"

    @property
    def findings(self) -> Path:
        """Those of them that a search leaves: also one that came to no winner."""
        return self.artifacts / "search"

    @property
    def judged(self) -> Path:
        """What goes there likewise, once the champion was judged; it need not be there."""
        return self.path / "judged"

    @property
    def published_request(self) -> Path:
        """The submission as it goes to MLflow, without what gives access to its data."""
        return self.artifacts / "request.json"

    @property
    def temporary(self) -> Path:
        """The temporary files of the run's process."""
        return self.path / "tmp"

    @property
    def temporary_link(self) -> Path:
        """A short name for `temporary`, where that is too deep for sockets."""
        return Path(tempfile.gettempdir()) / f"trainyard-{self.path.name}"

    def make_temporary(self) -> Path:
        """Make the folder for temporary files, and answer the name to use for it, which may be `temporary_link`.

        Where there can be no such link, because somebody else's file has its name, the folder's own name must do.
        """
        self.temporary.mkdir(exist_ok=True)
        link = self.temporary_link
        if _bytes(self.temporary) <= max(LONGEST_TEMPORARY_BYTES, _bytes(link)):
            return self.temporary
        try:
            link.unlink(missing_ok=True)
            link.symlink_to(self.temporary)
        except OSError as error:
            log.warning("a run's temporary folder has no short name", why=str(error))
            return self.temporary
        return link

    def of_rank(self, rank: int) -> "RunFolder":
        """What one rank of several has for itself, its temporary files and its outcome; rank 0 has the run's folder."""
        return RunFolder(self.path / f"{self.path.name}-{rank}") if rank else self

    def log_of_rank(self, rank: int) -> Path:
        """What one rank of several printed on another host."""
        return self.path / "logs" / f"{rank}.log"

    @property
    def ranks(self) -> "dict[int, RunFolder]":
        """The folders of the ranks beside rank 0 that there are."""
        found = (path.name.rpartition("-")[2] for path in self.path.glob(f"{self.path.name}-*"))
        return {int(rank): self.of_rank(int(rank)) for rank in found if rank.isdecimal()}

    def create(self, submission: Submission) -> None:
        """Make the folder; it is not there until it is whole, and nothing of it where it cannot be."""
        draft = self.path.with_name(f".{self.path.name}")
        try:
            for folder in ("checkpoints", "artifacts"):
                (draft / folder).mkdir(parents=True, exist_ok=True)
            (draft / "training.log").touch()
            _write(draft / "request.json", submission)
            _write(draft / "artifacts" / "request.json", published(submission))
            draft.rename(self.path)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def submission(self) -> Submission | None:
        """The submission; None when its file is missing or damaged."""
        return _read(self.request, Submission)

    def state(self) -> State:
        """How far the run came. One whose file is damaged counts as started once, since it may have been."""
        path = self.path / "state.json"
        return _read(path, State) or State(starts=1 if path.exists() else 0)

    def write_state(self, state: State) -> None:
        """Replace the state."""
        _write(self.path / "state.json", state)

    def outcome(self) -> Outcome | None:
        """How the run ended; None while it has not, or when the file is damaged."""
        return _read(self.path / "outcome.json", Outcome)

    def write_outcome(self, outcome: Outcome) -> None:
        """Write how the run ended; the first one stays."""
        if self.outcome() is None:
            _write(self.path / "outcome.json", outcome)

    def note_process(self, process_id: str) -> None:
        """As the process itself does: its service may end before it has."""
        self._process.write_text(process_id)

    @property
    def processes(self) -> list[str]:
        """What was noted so, of all ranks. They may be gone by now."""
        found = []
        for folder in (self, *self.ranks.values()):
            with suppress(OSError, ValueError):
                found.append(folder._process.read_text())  # noqa: SLF001 - one of its own kind
        return found

    @property
    def _process(self) -> Path:
        return self.path / "process_id"

    def note_cancelled(self, by: Caller | None) -> None:
        """Keep that somebody cancelled the run, for whichever service ends it; the first one stays."""
        if not self._cancelled.exists():
            _write(self._cancelled, Cancelled(by=by))

    def cancelled(self) -> Cancelled | None:
        """Who cancelled the run; None where nobody has. A damaged file says that somebody has."""
        return _read(self._cancelled, Cancelled) or (
            Cancelled() if self._cancelled.exists() else None
        )

    @property
    def _cancelled(self) -> Path:
        return self.path / "cancelled.json"

    @property
    def has_outcome(self) -> bool:
        """Whether one was written, be it damaged."""
        return (self.path / "outcome.json").exists()

    def forget_outcome(self) -> None:
        """Make room for the next attempt's outcome."""
        (self.path / "outcome.json").unlink(missing_ok=True)
        self._remove_ranks()

    def keep_notice(self, notice: Notice) -> bool:
        """Keep it to be sent. False where it was kept before, and may have been sent."""
        path = self._notice(notice)
        if path.exists():
            return False
        path.parent.mkdir(exist_ok=True)
        _write(path, notice)
        return True

    def settle_notice(self, notice: Notice) -> None:
        """Note that it is not to be sent again."""
        _write(self._notice(notice), notice.model_copy(update={"settled_at": datetime.now(UTC)}))

    def unsettled_notices(self) -> list[Notice]:
        """Those that are to be sent, in the order of their ids."""
        kept = [_read(path, Notice) for path in sorted(self.path.glob("notices/*.json"))]
        return [notice for notice in kept if notice and notice.settled_at is None]

    def _notice(self, notice: Notice) -> Path:
        return self.path / "notices" / f"{notice.id}.json"

    def last_sign_of_life(self) -> datetime | None:
        """When the run's process last wrote to its log or metrics; None when it never did."""
        times = [file.stat().st_mtime for file in (self.log, self.metrics) if file.exists()]
        return datetime.fromtimestamp(max(times), UTC) if times else None

    @property
    def closed_at(self) -> datetime | None:
        """When MLflow was told how the run ended; None while it does not know."""
        try:
            return datetime.fromtimestamp((self.path / "closed").stat().st_mtime, UTC)
        except OSError:
            return None

    @property
    def closed(self) -> bool:
        """Whether MLflow knows how the run ended."""
        return self.closed_at is not None

    def close(self) -> None:
        """Note that MLflow knows, and drop what only a run under way needs, whatever the disk says to the note."""
        try:
            (self.path / "closed").touch()
        finally:
            self.metrics.unlink(missing_ok=True)
            self.end_of_search.unlink(missing_ok=True)
            self.slots.unlink(missing_ok=True)
            self.registering.unlink(missing_ok=True)
            self._process.unlink(missing_ok=True)
            self._cancelled.unlink(missing_ok=True)
            dropped = (self.checkpoints, self.search, self.artifacts, self.judged, self.temporary)
            for folder in dropped:
                shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                self.temporary_link.unlink()
            self._remove_ranks()

    def _remove_ranks(self) -> None:
        shutil.rmtree(self.path / "logs", ignore_errors=True)
        for folder in self.ranks.values():
            with suppress(OSError):
                folder.temporary_link.unlink()
            folder.remove()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _bytes(path: Path) -> int:
    return len(os.fsencode(path))


def run_folders(root: Path) -> Iterator[RunFolder]:
    """Every whole run folder under `root`."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield RunFolder(path)


def remove_drafts(root: Path) -> None:
    """Remove the folders that a crash left half made; only while nothing is being submitted."""
    for path in root.glob(".*/"):
        shutil.rmtree(path, ignore_errors=True)


def _read(path: Path, kind: type[Record]) -> Record | None:
    """None where it is not there, or damaged. Raises `OSError` where this machine has nothing to read it with now."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        if is_scarce(error):
            raise
        log.warning("a run's file is damaged and counts as missing", file=str(path), why=str(error))
        return None


def _write(path: Path, record: BaseModel) -> None:
    draft = path.with_suffix(".tmp")
    with draft.open("w") as file:
        file.write(record.model_dump_json(by_alias=True))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
