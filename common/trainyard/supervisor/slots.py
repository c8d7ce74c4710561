"""The queue and the slots: what waits, what runs, and what follows an attempt."""

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog

from trainyard.contract import Reason, RunStatus
from trainyard.launcher.messages import Job
from trainyard.launcher.protocol import Launcher
from trainyard.rundir.records import Outcome
from trainyard.supervisor.attempt import attempt, save
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.decision import (
    Again,
    Close,
    HandBack,
    StopReason,
    cancelled,
    decide,
    ended_by,
)
from trainyard.supervisor.ending import Ending
from trainyard.supervisor.lending import Lending
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.mlflow_status import MlflowStatus

SPARE_SECONDS = 10.0
"""How long a stop takes at most, beyond the grace period of the processes."""
log = structlog.get_logger()


class Slots:
    """Starts waiting runs in order, as many at once as there are slots, and sees each to its end."""

    def __init__(  # noqa: PLR0913 - the parts that a run meets on its way, each by name
        self,
        *,
        slots: int,
        grace_seconds: float,
        launcher: Launcher,
        job_of: Callable[[LiveRun], Job],
        ending: Ending,
        mlflow_status: MlflowStatus,
        blocking: Blocking,
    ) -> None:
        self.slots = slots
        self._grace_seconds = grace_seconds
        self._launcher = launcher
        self._job_of = job_of
        self._ending = ending
        self._mlflow_status = mlflow_status
        self._blocking = blocking
        self._waiting: deque[LiveRun] = deque()
        self._running: dict[str, tuple[LiveRun, asyncio.Task[None]]] = {}
        self._lending = Lending()
        self._saying: set[asyncio.Task[None]] = set()
        self._one_says = asyncio.Lock()
        self._stopping = False

    @property
    def waiting(self) -> int:
        """Runs that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Runs that have a slot."""
        return len(self._running)

    @property
    def free(self) -> int:
        """Slots that no run has for its own; a search may have borrowed them until one comes."""
        return max(0, self.slots - len(self._running))

    def put(self, live: LiveRun) -> None:
        """Queue the run; it starts at once where a slot is free. MLflow is told if it has to wait."""
        self._waiting.append(live)
        self._dispatch()
        if live in self._waiting:
            self._mlflow_status.tell(live.run_id, RunStatus.SCHEDULED)

    def take_out(self, live: LiveRun) -> bool:
        """Take a run that waits out of the queue. False when it has a slot already, or has ended."""
        if live not in self._waiting:
            return False
        self._waiting.remove(live)
        self._renumber()
        return True

    async def stop(self) -> None:
        """Ask what trains to stop, to be taken up by the next service, and wait until it has.

        A run whose end can be written neither to the disk nor to MLflow is left to the next service too.
        """
        self._stopping = True
        for live, _ in self._running.values():
            live.ask_to_stop(StopReason.SERVICE_STOPS)
        tasks = [task for _, task in self._running.values()]
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=self._grace_seconds + SPARE_SECONDS)
            for task in stuck:
                task.cancel()

    def _dispatch(self) -> None:
        while self._waiting and self._unused and not self._stopping:
            live = self._waiting.popleft()
            task = asyncio.create_task(self._see_through(live))
            self._running[live.run_id] = live, task
            task.add_done_callback(partial(self._freed, live.run_id))
        self._renumber()
        if not self._stopping:
            self._lend()

    @property
    def _unused(self) -> int:
        """Slots that are neither a run's own nor lent."""
        return max(0, self.free - self._lending.out)

    def _lend(self) -> None:
        """Lend what is unused to searches, or ask back what they have, where runs wait."""
        changed = self._lending.settle(free=self._unused, waiting=len(self._waiting))
        for run_id in changed:
            task = asyncio.create_task(self._say(self._running[run_id][0]))
            self._saying.add(task)
            task.add_done_callback(self._saying.discard)
        if self._waiting and self._unused:  # what was asked back had not been in use
            self._dispatch()

    async def _say(self, live: LiveRun) -> None:
        """Tell the search how many slots it may use, as it is now."""
        async with self._one_says:
            lent = self._lending.lent_to(live.run_id)
            with suppress(OSError):  # a full disk: it goes on with what it has, or gets no more
                await self._blocking.run(lambda: live.folder.lend(lent))

    def _told(self, live: LiveRun) -> None:
        """A search says how many slots it wants, and uses."""
        if live.run_id in self._running:
            self._lending.told(live.run_id, wanted=live.slots_wanted, used=live.slots_used)
            self._dispatch()

    def _freed(self, run_id: str, task: asyncio.Task[None]) -> None:
        del self._running[run_id]
        self._lending.over(run_id)
        if not task.cancelled() and task.exception():
            log.error("a run could not be ended", run_id=run_id, exc_info=task.exception())
        self._dispatch()

    def _renumber(self) -> None:
        for position, live in enumerate(self._waiting, start=1):
            live.queued_at(position)

    async def _see_through(self, live: LiveRun) -> None:
        """From the slot to the run's end, or to where the next service goes on."""
        live.on_slots = partial(self._told, live)
        while True:
            if live.searches:
                await self._say(live)
            decision = await self._attempted(live)
            live.slots_wanted = live.slots_used = 0
            self._lending.over(live.run_id)
            self._dispatch()
            if isinstance(decision, Close):
                await self._ending.end(live, _signed(decision.outcome, live))
                return
            live.again(decision)
            await self._remember(live)
            if self._stopping or isinstance(decision, HandBack):
                return

    async def _attempted(self, live: LiveRun) -> Close | Again:
        """What follows one attempt. Whatever goes wrong in the service itself is an outcome of the run."""
        try:
            outcome = await attempt(
                live,
                self._job_of(live),
                launcher=self._launcher,
                blocking=self._blocking,
                grace_seconds=self._grace_seconds,
            )
        except Exception as error:
            log.exception("an attempt broke off", run_id=live.run_id)
            outcome = _broken_off(error)
        return decide(live.submission.request, live.state, outcome, live.stop_reason)

    async def _remember(self, live: LiveRun) -> None:
        """The state for a later service, which must not find the outcome of the attempt before."""
        try:
            await save(live, self._blocking)
            await self._blocking.run(live.folder.forget_outcome)
        except OSError:
            log.exception("a run's state cannot be written", run_id=live.run_id)


def _signed(outcome: Outcome, live: LiveRun) -> Outcome:
    """The outcome, which says who cancelled the run."""
    if outcome.reason is not Reason.CANCELLED:
        return outcome
    return outcome.model_copy(update={"message": cancelled(live.cancelled_by)})


def _broken_off(error: Exception) -> Outcome:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ended_by(Reason.DISK_FULL, "there is no space left on the work volume")
    return ended_by(Reason.CRASHED, f"the service could not go on: {type(error).__name__}: {error}")
