"""One run's process on this host: what it told, what it wrote, and how it ended, until the service has all of it."""

import asyncio
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress

import structlog

from trainyard.contract import Phase
from trainyard.control_groups import oom_kills
from trainyard.host.neighbours import first_cut_off
from trainyard.host.relay import Relay
from trainyard.launcher.host_messages import KEPT_FILES, NO_EVENT, Ended, Follow, News, Piece
from trainyard.launcher.messages import Noted, PhaseEntered, Progressed, Warned
from trainyard.launcher.protocol import Process, Used
from trainyard.rundir.folder import RunFolder
from trainyard.rundir.records import Outcome

KEPT_STEPS = 50
"""Events that are kept for a service that was away, beside the newest progress."""
LOOK_SECONDS = 0.2
PIECE_BYTES = 2**20
UNREAD_SECONDS = 30.0
"""How long the files of a run that is over may not be read before it is told of without them."""
AFTER_TRAINING = frozenset({Phase.EVALUATING})
AFTER_SEARCH = AFTER_TRAINING | {Phase.TRAINING}
"""What rank 0 enters to train the winner, by itself."""
Step = PhaseEntered | Noted | Warned
log = structlog.get_logger()


class HostedRun:
    """Used on the event loop alone."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.process: Process | None = None
        self.rank = 0
        self.starting = asyncio.Lock()
        self._steps: deque[Step] = deque(maxlen=KEPT_STEPS)
        self._progress: Progressed | None = None
        self._news = asyncio.Event()
        self.relay = Relay(self._news.set)
        self._code: int | None = None
        self._over = False
        self._watching: asyncio.Task[None] | None = None
        self._reaching: asyncio.Task[None] | None = None
        self._cut_from: str | None = None
        self._for_memory = False
        self._unread_since: float | None = None
        self._alone = AFTER_TRAINING

    def hear(self, event: PhaseEntered | Progressed | Noted | Warned) -> None:
        """Keep what the process told."""
        if isinstance(event, Progressed):
            self._progress = event
        else:
            self._steps.append(event)
            if self._reaching and isinstance(event, PhaseEntered) and event.phase in self._alone:
                self._reaching.cancel()
        self._news.set()

    def watch(
        self, process: Process, neighbours: Sequence[str] = (), *, searches: bool = False
    ) -> None:
        """It was started; note when it ends, and end it where a host cannot be reached that it needs.

        A rank that has trained needs no other, nor does one that `searches` once its search is over.
        """
        self.process = process
        self._alone = AFTER_SEARCH if searches else AFTER_TRAINING
        self._watching = asyncio.create_task(self._wait(process))
        if neighbours:
            self._reaching = asyncio.create_task(self._reach(process, neighbours))

    async def news(self, order: Follow) -> News:
        """What is new, as soon as there is something, or when the order's time is over."""
        if order.end_search:
            with suppress(OSError):  # a full disk: the next order says it again
                await asyncio.to_thread(self.folder.end_of_search.touch)
        clock = asyncio.get_running_loop().time
        deadline = clock() + order.wait_seconds
        while True:
            self._news.clear()
            found = await self._look(order)
            is_news = found.events or found.pieces or found.given or found.ended
            if is_news or clock() >= deadline:
                return found
            try:
                async with asyncio.timeout(min(LOOK_SECONDS, max(0.0, deadline - clock()))):
                    await self._news.wait()
            except TimeoutError:
                continue

    def close(self) -> None:
        """End what is left of the process, once."""
        if self._reaching:
            self._reaching.cancel()
        if self._watching:
            self._watching.cancel()
            self._watching = None
            assert self.process is not None
            self.process.release()

    async def _wait(self, process: Process) -> None:
        kills = oom_kills()
        self._code = await process.ended()
        self._for_memory = self._code in {None, -signal.SIGKILL} and oom_kills() > kills
        self._over = True
        self._news.set()

    async def _reach(self, process: Process, neighbours: Sequence[str]) -> None:
        self._cut_from = (await first_cut_off(neighbours)).rpartition(":")[0]
        process.kill()

    async def _look(self, order: Follow) -> News:
        over = self._over  # asked before the files are read: what is written later is none of its
        try:
            pieces, ended = await asyncio.to_thread(self._read, order, over=over)
            self._unread_since = None
        except (OSError, RuntimeError) as error:
            pieces, ended = (), self._unread(error, over=over)
        used = self.process.used if self.process else Used()
        return News(
            events=self._events(order.heard),
            pieces=pieces,
            given=self.relay.beyond(order.given),
            used=used,
            ended=ended,
        )

    def _read(self, order: Follow, *, over: bool) -> tuple[tuple[Piece, ...], Ended | None]:
        """What there is to be sent, and how the run ended once all of that was."""
        pieces = tuple(self._pieces(order))
        if pieces or not over:
            return pieces, None
        own = self.folder.of_rank(self.rank)
        outcome = own.outcome()
        if outcome is None and own.has_outcome:
            raise OSError("its outcome is there, and cannot be read")
        return pieces, self._ended(outcome)

    def _unread(self, error: Exception, *, over: bool) -> Ended | None:
        """The end of a run whose files cannot be read for long: nobody is kept from hearing of it. For a moment they may."""
        now = asyncio.get_running_loop().time()
        if self._unread_since is None:
            self._unread_since = now
            log.warning(
                "what a run wrote cannot be read", folder=str(self.folder.path), why=str(error)
            )
        if not over or now < self._unread_since + UNREAD_SECONDS:
            return None
        outcome = None
        with suppress(OSError):
            outcome = self.folder.of_rank(self.rank).outcome()
        return self._ended(outcome)

    def _ended(self, outcome: Outcome | None) -> Ended:
        return Ended(
            code=self._code, outcome=outcome, cut_from=self._cut_from, for_memory=self._for_memory
        )

    def _events(self, heard: int) -> tuple[Step | Progressed, ...]:
        """Those after `heard`, in order; for one that took the run up, those that say how it stands."""
        steps = list(self._steps)
        if heard == NO_EVENT:
            newest = {type(each): each for each in steps if not isinstance(each, Noted)}
            steps = list(newest.values())
        kept = [*steps, *([self._progress] if self._progress else [])]
        return tuple(
            sorted((each for each in kept if each.sequence > heard), key=lambda each: each.sequence)
        )

    def _pieces(self, order: Follow) -> Iterator[Piece]:
        """What the files hold beyond what the service has of them. One that was cut short meanwhile begins again."""
        for name in KEPT_FILES:
            path = self.folder.path / name
            if name not in order.sizes or not path.exists():
                continue
            had, size = order.sizes[name], path.stat().st_size
            offset = had if had <= size else 0
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(PIECE_BYTES)
            if data or offset != had:
                yield Piece(name=name, offset=offset, data=data)
