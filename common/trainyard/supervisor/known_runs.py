"""The runs that this service knows by heart: all that are under way, and those that ended last."""

from collections import OrderedDict
from collections.abc import Iterator

from trainyard.supervisor.live_run import LiveRun

RECENT = 1000
RECENT_BYTES = 64_000_000
"""Ended runs that stay in memory, and of all their requests as JSON; older ones are read back from MLflow."""


class KnownRuns:
    """Runs by id and by Idempotency-Key."""

    def __init__(self, *, recent: int = RECENT, recent_bytes: int = RECENT_BYTES) -> None:
        self._recent, self._recent_bytes = recent, recent_bytes
        self._runs: OrderedDict[str, LiveRun] = OrderedDict()
        self._ended: OrderedDict[str, int] = OrderedDict()
        """Those that have ended, and the bytes of their requests."""
        self._bytes = 0
        self._keys: dict[str, str] = {}

    def add(self, live: LiveRun) -> None:
        """Know the run; its key finds it, rather than an earlier attempt."""
        self._runs[live.run_id] = live
        key = live.submission.key
        if key is None:
            return
        known = self.with_key(key)
        if known is None or known.submission.attempt <= live.submission.attempt:
            self._keys[key] = live.run_id

    def note_end(self, run_id: str) -> None:
        """The run has ended; the runs that ended longest ago are forgotten."""
        if run_id in self._ended:
            return
        size = len(self._runs[run_id].submission.request.model_dump_json())
        self._ended[run_id] = size
        self._bytes += size
        while len(self._ended) > self._recent or (
            self._bytes > self._recent_bytes and len(self._ended) > 1
        ):
            self._forget(*self._ended.popitem(last=False))

    def get(self, run_id: str) -> LiveRun | None:
        """The run; None when it is not known, or not any more."""
        return self._runs.get(run_id)

    def with_key(self, key: str) -> LiveRun | None:
        """The newest attempt with the key."""
        return self._runs.get(self._keys.get(key, ""))

    def __iter__(self) -> Iterator[LiveRun]:
        return iter(self._runs.values())

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._runs

    def __len__(self) -> int:
        return len(self._runs)

    def _forget(self, run_id: str, size: int) -> None:
        self._bytes -= size
        live = self._runs.pop(run_id)
        key = live.submission.key
        if key is not None and self._keys.get(key) == run_id:
            del self._keys[key]
