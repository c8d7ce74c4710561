"""One process writes for one instance name, and one work directory is one instance."""

import uuid
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from trainyard.errors import ServiceError


class InstanceLock:
    """A lock file that says so; it goes with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path, mode=0o644)

    def take(self) -> None:
        """Take it. Raises `ServiceError` when another process has it."""
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise ServiceError(
                f"another process serves this instance: it holds {self._path}; "
                "give this one another TRAINYARD_INSTANCE or TRAINYARD_WORK_DIR"
            ) from error

    def release(self) -> None:
        """Let it go."""
        self._lock.release()


def instance_uids(file: Path) -> tuple[str, ...]:
    """The uids of this work directory, its own first; made where the file is not there or empty.

    MLflow's runs carry the uid of the work directory that holds their folder, so that two deployments of one
    name leave each other's runs alone. A later line of the file is the uid of a work directory that was lost:
    its runs are ended by the next start.
    """
    with suppress(FileNotFoundError):
        found = tuple(file.read_text().split())
        if found:
            return found
    made = uuid.uuid4().hex
    draft = file.with_suffix(".draft")
    draft.write_text(f"{made}\n")
    draft.replace(file)
    return (made,)
