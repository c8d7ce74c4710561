"""A request becomes a run, or is answered with the run that has its Idempotency-Key already."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trainyard.contract import Caller, Run, RunRequest
from trainyard.errors import KeyReused, QueueFull
from trainyard.rundir.records import State, Submission
from trainyard.supervisor.admission import Admission, OrphanWatch
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.idempotency import KeyLocks, attaches, digest_of, key_digest
from trainyard.supervisor.known_runs import KnownRuns
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.slots import Slots
from trainyard.tracking.runs import Tracking


class Submissions:
    """Takes requests one after the other for each key, and many at once without one."""

    def __init__(  # noqa: PLR0913 - the parts that a request meets on its way, each by name
        self,
        *,
        queue_limit: int,
        known: KnownRuns,
        slots: Slots,
        admission: Admission,
        orphans: OrphanWatch,
        tracking: Tracking,
        blocking: Blocking,
        know: Callable[[Submission, State], LiveRun],
    ) -> None:
        self._queue_limit = queue_limit
        self._known = known
        self._slots = slots
        self._admission = admission
        self._orphans = orphans
        self._tracking = tracking
        self._blocking = blocking
        self._know = know
        self._key_locks = KeyLocks()
        self._admitting = 0

    async def submit(
        self, request: RunRequest, key: str | None, by: Caller | None = None
    ) -> tuple[Run, bool]:
        """The run for the request, and whether it was newly accepted. Raises `RequestError`."""
        if key is None:
            return await self._accept(request, None, by, attempt=1), True
        async with self._key_locks.of(key):
            found = await self._with_key(key)
            if found is None:
                return await self._accept(request, key, by, attempt=1), True
            run, digest = found
            if digest != digest_of(request):
                raise KeyReused(
                    f"Idempotency-Key {key!r} belongs to run {run.run_id}, "
                    "which was asked for with another body"
                )
            if attaches(request.on_existing, run.status):
                return run, False
            return await self._accept(request, key, by, attempt=run.attempt + 1, earlier=run), True

    async def _with_key(self, key: str) -> tuple[Run, str] | None:
        """The newest run of the key, and the digest of its request."""
        if live := self._known.with_key(key):
            return live.run, live.submission.digest
        return await self._blocking.mlflow(lambda: self._tracking.ended_with_key(key_digest(key)))

    async def _accept(
        self,
        request: RunRequest,
        key: str | None,
        by: Caller | None,
        *,
        attempt: int,
        earlier: Run | None = None,
    ) -> Run:
        digest = digest_of(request)
        with self._a_place():
            request = await self._admission.resolved(request, earlier)
            request = await self._admission.check(request, by)
            try:
                submission = await self._admission.record(
                    request, key, digest=digest, attempt=attempt, by=by
                )
            except BaseException:
                self._orphans.look()
                raise
            state = State(batch_size=self._admission.batch_size(request))
            live = self._know(submission, state)
        accepted = live.run
        self._slots.put(live)
        return live.run if live.run.queue_position else accepted

    @contextmanager
    def _a_place(self) -> Iterator[None]:
        """Hold a place in a slot or the queue while a request is looked at. Raises `QueueFull`."""
        if self._slots.waiting + self._admitting >= self._queue_limit + self._slots.free:
            raise QueueFull(
                f"{self._slots.waiting} runs wait already, which is as many as TRAINYARD_QUEUE allows"
            )
        self._admitting += 1
        try:
            yield
        finally:
            self._admitting -= 1
