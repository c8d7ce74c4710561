"""What makes two submits the same: the request's digest and its Idempotency-Key."""

import hashlib
import json

from trainyard.contract import TrainRequest
from trainyard.folder import Submission


class Keys:
    """The newest submission of each key that this process has seen."""

    def __init__(self) -> None:
        self._newest: dict[str, Submission] = {}

    def note(self, submission: Submission) -> None:
        """Remember a submission, unless a later attempt with its key is known."""
        if submission.key is None:
            return
        known = self._newest.get(submission.key)
        if known is None or known.attempt <= submission.attempt:
            self._newest[submission.key] = submission

    def newest(self, key: str) -> Submission | None:
        """The latest attempt with the key, as far as this process knows."""
        return self._newest.get(key)


def digest_of(request: TrainRequest) -> str:
    """SHA-256 of what is to be trained: defaults filled in, key order ignored, `on_existing` left out."""
    body = request.model_dump(mode="json", by_alias=True, exclude={"on_existing"})
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def key_digest(key: str) -> str:
    """A key as it can be searched for in MLflow, whatever characters it has."""
    return hashlib.sha256(key.encode()).hexdigest()


def tags_of(request: TrainRequest, key: str | None, digest: str, attempt: int) -> dict[str, str]:
    """The tags a run is made with; the caller's own cannot replace Trainyard's."""
    own = {
        "trainyard.model": request.model,
        "trainyard.experiment": request.experiment,
        "trainyard.request_digest": digest,
        "trainyard.attempt": str(attempt),
    }
    if key is not None:
        own |= {"trainyard.idempotency_key": key, "trainyard.key_digest": key_digest(key)}
    return {**request.tags, **own}
