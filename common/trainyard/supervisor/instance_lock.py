"""A work directory is one service's, whatever its name is, and has a uid in MLflow."""

import uuid
from contextlib import ExitStack, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from trainyard.errors import ServiceError


class InstanceLock:
    """Two lock files in the work directory that say so; they go with the process.

    One is the directory's own: a service would end the runs of another that has the directory under another name.
    The other has the instance's name; an older version of the service takes that one alone.
    """

    def __init__(self, work_dir: Path, instance: str) -> None:
        self._files = (work_dir / ".lock", work_dir / f"{instance}.lock")
        self._held = ExitStack()

    def take(self) -> None:
        """Take both. Raises `ServiceError` when another process has one, and then holds none."""
        with ExitStack() as taken:
            for file in self._files:
                try:
                    taken.enter_context(FileLock(file, mode=0o644).acquire(blocking=False))
                except Timeout as error:
                    raise ServiceError(
                        f"another process serves from this work directory: it holds {file}; "
                        "give this one another TRAINYARD_WORK_DIR"
                    ) from error
            self._held = taken.pop_all()

    def release(self) -> None:
        """Let them go."""
        self._held.close()


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
