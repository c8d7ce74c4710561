"""What makes two submits the same: the request's digest and its Idempotency-Key."""

import asyncio
import hashlib
import json
from weakref import WeakValueDictionary

from trainyard.contract import AIRFLOW_TASK, Caller, OnExisting, RunRequest, RunStatus, version_of
from trainyard.datasets.sources.redaction import without_access
from trainyard.tracking.runs import (
    DATA_VERSION,
    KEY_DIGEST,
    KIND,
    REQUEST_DIGEST,
    SUBMITTED_BY,
    TEAM,
    WORKERS,
)


class KeyLocks:
    """A lock for each key that is being submitted; one that nobody holds or waits for is gone."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: str) -> asyncio.Lock:
        """The key's lock."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

    def __len__(self) -> int:
        return len(self._locks)


def digest_of(request: RunRequest) -> str:
    """SHA-256 of what is to be trained, or scored.

    The order of fields does not count, nor does a field that has its default: so the digest stays the same
    when a version of Trainyard adds a field with a default. `on_existing` is about the submit and left out,
    and so is where its task is in Airflow.
    """
    tags = {name: each for name, each in request.tags.items() if name != AIRFLOW_TASK}
    body = request.model_copy(update={"tags": tags}).model_dump(
        mode="json", by_alias=True, exclude={"on_existing"}, exclude_defaults=True
    )
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def key_digest(key: str) -> str:
    """A key as it can be searched for in MLflow, whatever characters it has."""
    return hashlib.sha256(key.encode()).hexdigest()


def attaches(choice: OnExisting, status: RunStatus) -> bool:
    """Whether a submit is answered with the run that has its key already, rather than with a new attempt."""
    if choice is OnExisting.ATTACH or not status.ended:
        return True
    return choice is OnExisting.RERUN_FAILED and status is RunStatus.FINISHED


def tags_of(
    request: RunRequest, key: str | None, digest: str, attempt: int, by: Caller | None = None
) -> dict[str, str]:
    """The tags a run is made with; the caller's own cannot replace Trainyard's."""
    own = {
        KIND: request.kind.value,
        "trainyard.model": request.model,
        "trainyard.experiment": request.experiment,
        REQUEST_DIGEST: digest,
        "trainyard.attempt": str(attempt),
    }
    if request.workers > 1:
        own[WORKERS] = str(request.workers)
    if (version := version_of(request.data)) is not None:
        own[DATA_VERSION] = str(version)
    if key is not None:
        own |= {"trainyard.idempotency_key": key, KEY_DIGEST: key_digest(key)}
    if by is not None:
        own |= {"mlflow.user": by.name, SUBMITTED_BY: by.name}
        own |= {TEAM: by.team} if by.team else {}
    told = {name: without_access(value) for name, value in request.tags.items()}
    return {**told, **own}
