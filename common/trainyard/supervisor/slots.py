"""The queue and the slots: what waits, what runs, and what follows an attempt."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import structlog

from trainyard.contract import Capacity, Phase, Priority, Reason, RunStatus
from trainyard.disk_space import is_full
from trainyard.errors import HostLost
from trainyard.launcher.messages import Job
from trainyard.launcher.protocol import Launcher
from trainyard.rundir.records import Held, Outcome
from trainyard.supervisor.attempt import LeftAlone, attempt, rest_of_attempt, save
from trainyard.supervisor.blocking import Blocking
from trainyard.supervisor.decision import (
    Again,
    Close,
    GoesOn,
    HandBack,
    StopReason,
    cancelled_while_it_waited,
    decide,
    ended_by,
    signed,
)
from trainyard.supervisor.ending import Ending
from trainyard.supervisor.lending import Lending
from trainyard.supervisor.live_run import LiveRun
from trainyard.supervisor.mlflow_status import MlflowStatus
from trainyard.supervisor.queue import Queue
from trainyard.supervisor.room import Allotment, Need, Room
from trainyard.supervisor.rooms import Rooms
from trainyard.supervisor.shares import had_by, named, told_of, waited_for

SPARE_SECONDS = 10.0
"""How long a stop takes at most, beyond the grace period of the processes."""
LOOK_AGAIN_SECONDS = 2.0
"""While a run of high priority waits for one of low priority that has not saved a checkpoint yet."""
MOST_SHOWN = 200
"""Of runs that wait."""
log = structlog.get_logger()


class Slots:
    """Starts waiting runs in order, as many at once as there are slots, and sees each to its end."""

    def __init__(  # noqa: PLR0913 - the parts that a run meets on its way, each by name
        self,
        *,
        room: Room | Rooms,
        queue: Queue,
        grace_seconds: float,
        launcher: Launcher,
        job_of: Callable[[LiveRun, Allotment], Job],
        ending: Ending,
        mlflow_status: MlflowStatus,
        blocking: Blocking,
    ) -> None:
        self._room = room
        self._grace_seconds = grace_seconds
        self._launcher = launcher
        self._job_of = job_of
        self._ending = ending
        self._mlflow_status = mlflow_status
        self._blocking = blocking
        self._queue = queue
        self._looking_again: asyncio.TimerHandle | None = None
        self._running: dict[str, tuple[LiveRun, asyncio.Task[None]]] = {}
        self._lending = Lending()
        self._saying: set[asyncio.Task[None]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._one_says = asyncio.Lock()
        self._stopping = False

    @property
    def slots(self) -> int:
        """Runs that may run at once."""
        return self._room.slots

    @property
    def waiting(self) -> int:
        """Runs that wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Runs that have a slot."""
        return len(self._running)

    @property
    def free(self) -> int:
        """Slots that no run has for its own; a search may have borrowed them until one comes."""
        return max(0, self.slots - self._room.slots_used)

    def put(self, live: LiveRun) -> None:
        """Queue the run; it starts at once where a slot is free. MLflow is told if it has to wait.

        One that was cancelled before it was queued is ended.
        """
        if live.is_cancelled:
            self.leave(live)
            return
        self._queue.add(live)
        self._dispatch()
        if live in self._queue:
            self._mlflow_status.tell(live.run_id, RunStatus.SCHEDULED)

    def go_on(self, live: LiveRun, held: Held) -> None:
        """See the rest of a run whose process went on, on its host, while there was no service."""
        self._queue.add(live)
        self._queue.start(live)
        self._room.claim(live.run_id, _as_given(held))
        self._see(live, goes_on=True)
        self._dispatch()

    def room_changed(self) -> None:
        """There is more, or less, than before."""
        self._dispatch()

    def take_out(self, live: LiveRun) -> bool:
        """Take a run that waits out of the queue. False when it has a slot already, or has ended."""
        if live not in self._queue:
            return False
        self._queue.remove(live)
        self._dispatch()
        return True

    async def stop(self) -> None:
        """Ask what trains to stop, to be taken up by the next service, and wait until it has.

        What trains on other hosts goes on there.

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
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=SPARE_SECONDS)

    def capacity(self, service: str) -> Capacity:
        """What there is, who has it, and who waits for it."""
        waiting = [(live, self._need(live)) for live in self._queue.in_order()]
        return Capacity(
            service=service,
            **self._room.amounts((need for _, need in waiting), self._lending.out),
            running=[had_by(live, self._room.of(live.run_id)) for live in self._lives],
            waiting=[waited_for(live, need) for live, need in waiting[:MOST_SHOWN]],
            complaints=dict(self._launcher.complaints),
        )

    @property
    def _lives(self) -> list[LiveRun]:
        """Those that have a slot."""
        return [live for live, _ in self._running.values()]

    def _need(self, live: LiveRun) -> Need:
        return self._room.need(live.submission.request.resources)

    def _dispatch(self) -> None:
        for each in self._lives:
            self._hear(each)
        while not self._stopping and (live := self._queue.first()):
            need = self._need(live)
            if self._room.lacks(need, self._lending.out):
                self._make_way(live, need)
                break  # nobody passes the first: a run that needs much would wait for ever
            self._queue.start(live)
            self._room.take(live.run_id, need, live.state.avoids)
            self._see(live)
        order = self._renumber()
        if not self._stopping:
            self._lend(order)

    def _see(self, live: LiveRun, *, goes_on: bool = False) -> None:
        task = asyncio.create_task(self._see_through(live, goes_on=goes_on))
        self._running[live.run_id] = live, task
        task.add_done_callback(partial(self._freed, live))

    def _make_way(self, first: LiveRun, need: Need) -> None:
        """Have a run of low priority give way to one of high priority, once it can go on from a checkpoint."""
        if first.run.priority is not Priority.HIGH or self._giving_way:
            return
        may = [
            live
            for live in self._lives
            if live.run.priority is Priority.LOW
            and live.stop_reason is None
            and not live.gave_way
            and self._room.fits_without(live.run_id, need, self._lending.out)
        ]
        newest = next((live for live in reversed(may) if live.has_checkpoint), None)
        if newest:
            newest.gave_way = True
            newest.ask_to_stop(StopReason.GIVES_WAY)
        elif may and not self._looking_again:
            loop = asyncio.get_running_loop()
            self._looking_again = loop.call_later(LOOK_AGAIN_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._looking_again = None
        self._dispatch()

    @property
    def _giving_way(self) -> LiveRun | None:
        return next(
            (live for live in self._lives if live.stop_reason is StopReason.GIVES_WAY), None
        )

    def _lend(self, order: Sequence[LiveRun]) -> None:
        """Lend what is unused to searches, or ask back what they have, where runs wait for it."""
        out = self._lending.out
        wanted = sum(self._room.lacks_slots(need, out) for need in self._helped_by_slots(order))
        changed = self._lending.settle(free=self._room.slots_free(out), waiting=wanted)
        for run_id in changed:
            self._say_soon(run_id)
        if self._lending.out < out and wanted:  # what was asked back had not been in use
            self._dispatch()

    def _helped_by_slots(self, order: Sequence[LiveRun]) -> Iterator[Need]:
        """What the next runs need, up to one that waits for something else: none passes it."""
        for live in islice(order, self.slots):
            need = self._need(live)
            if self._room.lacks_beside_slots(need):
                return
            if self._queue.may_start(live):
                yield need

    def _say_soon(self, run_id: str) -> None:
        task = asyncio.create_task(self._say(self._running[run_id][0]))
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)

    def _hear(self, live: LiveRun) -> None:
        """How many slots a search uses, wants, and may have by its team's quota; the others want none, nor does one of several workers."""
        if not self._may_borrow(live):
            self._lending.over(live.run_id)
            return
        left = self._queue.slots_left(live)
        wanted = live.slots_wanted
        if left is not None:
            wanted = min(wanted, self._share_of(live, left))
        self._lending.told(live.run_id, wanted=wanted, used=live.slots_used)

    def _may_borrow(self, live: LiveRun) -> bool:
        need = self._need(live)
        return live.run.phase is Phase.SEARCHING and not need.own_cores and need.workers == 1

    def _share_of(self, live: LiveRun, left: int) -> int:
        """Of the slots that its team may still have, which the team's searches share evenly."""
        team = live.submission.team
        searches = [
            each.run_id
            for each, _ in self._running.values()
            if each.submission.team == team and self._may_borrow(each)
        ]
        each_has, rest = divmod(left, len(searches))
        return each_has + (searches.index(live.run_id) < rest)

    async def _say(self, live: LiveRun) -> None:
        """Tell the search how many slots it may use, as it is now."""
        async with self._one_says:
            lent = self._lending.lent_to(live.run_id)
            try:
                await self._blocking.run(lambda: live.folder.lend(lent))
            except Exception:  # such as a full disk: it goes on with what it has, or gets no more
                log.exception("a search cannot be told its slots", run_id=live.run_id)

    def _told(self, live: LiveRun) -> None:
        """A search says how many slots it wants, and uses; or the run searches no more."""
        if live.run_id in self._running:
            self._dispatch()

    def _freed(self, live: LiveRun, task: asyncio.Task[None]) -> None:
        run_id = live.run_id
        del self._running[run_id]
        self._room.give_back(run_id)
        self._lending.over(run_id)
        broke = task.cancelled() or task.exception() is not None
        gave_way = not (broke or live.run.status.ended) and (
            live.stop_reason is StopReason.GIVES_WAY
        )
        moves = not (broke or self._stopping) and live.run.status is RunStatus.SCHEDULED
        leaves = live.is_cancelled and not broke and live.run.status is RunStatus.SCHEDULED
        waits_again = (gave_way or moves) and not leaves
        if waits_again:
            live.wait_again()
        self._queue.gave_back(live, waits_again=waits_again)
        if leaves:
            self.leave(live)
        if not task.cancelled() and (error := task.exception()):
            log.error("what sees a run through broke off", run_id=run_id, exc_info=error)
            self._soon(self._end_broken_off(live, error))
        if self._room.slots_free(self._lending.out) and (back := self._lending.come_back()):
            self._say_soon(back)
        self._dispatch()

    def leave(self, live: LiveRun) -> asyncio.Task[None]:
        """End a run that was cancelled when it had neither a place in the queue nor a process, whoever waits for it."""
        return self._soon(self._ending.end(live, cancelled_while_it_waited(live.cancelled_by)))

    async def _end_broken_off(self, live: LiveRun, error: BaseException) -> None:
        """As the run itself ended, where it had."""
        if live.run.status.ended:
            return
        own = await self._blocking.once_it_can(live.folder.outcome)
        if own is None or own.status is not RunStatus.FINISHED:
            own = _broken_off(error)
        await self._ending.end(live, own)

    def _soon(self, ending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(ending)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    def _renumber(self) -> list[LiveRun]:
        """Tell each its place, and why it waits; those that wait, in order."""
        order = self._queue.in_order()
        for position, live in enumerate(order, start=1):
            live.queued_at(position, self._why(live, position, order[0]))
        return order

    def _why(self, live: LiveRun, position: int, first: LiveRun) -> str:
        """Why it waits, and for whom."""
        if not self._queue.may_start(live):
            slots = "a slot" if live.run.workers == 1 else f"{live.run.workers} slots"
            return f"{slots} of the team {live.run.team}, which has as many as TRAINYARD_QUOTAS gives it"
        if position > 1:
            return f"{position - 1} run{'s' * (position > 2)} before it in the queue, the next {named(first)}"
        lacking = ", ".join(self._room.lacks(self._need(live), self._lending.out))
        leaves = self._giving_way
        gives_way = f", of which {named(leaves)} gives way" if leaves else ""
        return f"{lacking or 'its turn'}, while {told_of(self._lives)}{gives_way}"

    async def _see_through(self, live: LiveRun, *, goes_on: bool) -> None:
        """From the slot to the run's end, or to where the next service, or another host, goes on."""
        live.on_slots = partial(self._told, live)
        while True:
            if live.searches:
                await self._say(live)
            decision = await self._attempted(live, goes_on=goes_on)
            goes_on = False
            slot_is_lost = self._lending.is_away(live.run_id)  # another run may have it by now
            live.slots_wanted = live.slots_used = 0
            self._lending.over(live.run_id)
            self._dispatch()
            if isinstance(decision, GoesOn):
                return
            if isinstance(decision, Close):
                await self._ending.end(live, signed(decision.outcome, live.cancelled_by))
                return
            live.again(decision)
            await self._remember(live)
            if live.is_cancelled:  # meanwhile, when it had no process that could be asked to stop
                await self._ending.end(live, cancelled_while_it_waited(live.cancelled_by))
                return
            if self._stopping or slot_is_lost or self._moves(live, decision):
                return

    def _moves(self, live: LiveRun, decision: Again) -> bool:
        """Whether its next attempt is to choose anew what it has."""
        has = self._room.of(live.run_id).placement
        avoids = any(place.address in live.state.avoids for place in has)
        return avoids or isinstance(decision, HandBack) or self._room.is_gone(live.run_id)

    async def _attempted(self, live: LiveRun, *, goes_on: bool) -> Close | Again | GoesOn:
        """What follows one attempt. Whatever goes wrong in the service itself is an outcome of the run."""
        has = self._room.of(live.run_id)
        live.state.held = _held(has)
        try:
            outcome = await (rest_of_attempt if goes_on else attempt)(
                live,
                self._job_of(live, has),
                launcher=self._launcher,
                blocking=self._blocking,
                grace_seconds=self._grace_seconds,
            )
        except LeftAlone:
            return GoesOn()
        except HostLost as error:
            return _without_its_host(error, live)
        except Exception as error:
            log.exception("an attempt broke off", run_id=live.run_id)
            outcome = _broken_off(error)
        return decide(live.submission.request, live.state, outcome, live.stop_reason)

    async def _remember(self, live: LiveRun) -> None:
        """The state for a later service, which must not find the outcome of the attempt before."""
        try:
            await save(live, self._blocking)
            await self._blocking.run(live.folder.forget_outcome)
        except Exception:
            log.exception("a run's state cannot be written", run_id=live.run_id)


def _held(has: Allotment) -> Held | None:
    """What the run has, where it has it of other hosts."""
    if not has.placement:
        return None
    each = [
        Held(
            cpus=part.cpus,
            cores=part.cores,
            gpus=part.gpus,
            memory_mb=part.memory_mb,
            placement=place,
        )
        for part, place in zip(has.shares, has.placement, strict=True)
    ]
    return each[0].model_copy(update={"ranks": tuple(each) if len(each) > 1 else ()})


def _as_given(held: Held) -> Allotment:
    each = [
        Allotment(one.cpus, one.cores, one.gpus, one.memory_mb, placement=(one.placement,))
        for one in held.ranks or (held,)
    ]
    return Allotment.of_all(each) if held.ranks else each[0]


def _without_its_host(error: HostLost, live: LiveRun) -> Close | Again:
    """What follows where the host was lost before there was a process on it."""
    decision = decide(live.submission.request, live.state, None, live.stop_reason)
    waits = isinstance(decision, HandBack)
    return HandBack(f"{error.detail}; it waits for another") if waits else decision


def _broken_off(error: BaseException) -> Outcome:
    if is_full(error):
        return ended_by(Reason.DISK_FULL, "there is no space left on the work volume")
    return ended_by(Reason.CRASHED, f"the service could not go on: {type(error).__name__}: {error}")
