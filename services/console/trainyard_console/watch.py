"""What a service has in hand, followed by one long poll for all the pages of one person."""

import asyncio
from collections.abc import Callable

from trainyard.client import AsyncTrainyardClient
from trainyard.contract import Capacity, Run, Share, YardState
from trainyard.errors import TrainyardError, Unauthorized

from trainyard_console.logs import Logs

HOLD_SECONDS = 25.0
PACE_SECONDS = 0.15
"""Between two calls: a run that reports a hundred times a second is shown six times."""
PAUSE_SECONDS = 2.0
"""Before a service that is away is asked again."""
Listener = Callable[[], None]


class Watch:
    """One service as one person sees it. It asks while somebody listens, and not otherwise."""

    def __init__(self, name: str, client: AsyncTrainyardClient) -> None:
        self.name = name
        self.client = client
        self.logs = Logs(client)
        self.state: YardState | None = None
        self.problem: TrainyardError | None = None
        """Why it does not answer, or what it refused with; `state` is then what it said last."""
        self.capacity: Capacity | None = None
        """As it was when a run last began or ended, or came to wait."""
        self._held: list[list[str]] | None = None
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()

    @property
    def refused(self) -> bool:
        """Whether the token is missing, wrong or revoked."""
        return isinstance(self.problem, Unauthorized)

    def listen(self, listener: Listener) -> None:
        """Tell of each change, until `leave`."""
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._answered.clear()
            self._task = asyncio.create_task(self._follow())

    def leave(self, listener: Listener) -> None:
        """Tell no more."""
        self._listeners.discard(listener)

    async def close(self) -> None:
        """Whoever listens is to sign in again; nothing is asked any more."""
        self.problem = Unauthorized()
        self._tell()
        if self._task is not None:
            self._task.cancel()
        await self.client.close()

    async def answered(self) -> None:
        """Return once the service has answered, or was found to be away, since somebody listens again."""
        await self._answered.wait()

    def find(self, run_id: str) -> Run | None:
        """The run as it stands, of those that are under way or ended lately."""
        runs = [*self.state.running, *self.state.waiting, *self.state.ended] if self.state else []
        return next((run for run in runs if run.run_id == run_id), None)

    def share(self, run_id: str) -> Share | None:
        """What the run has of the machine, or waits for; None once it has ended."""
        there = self.capacity
        shares = [*there.running, *there.waiting] if there else []
        return next((each for each in shares if each.run_id == run_id), None)

    async def _follow(self) -> None:
        fresh = True
        while self._listeners:
            try:
                since = self.state.version if self.state and not fresh else None
                self.state = await self.client.yard(
                    wait_seconds=None if fresh else HOLD_SECONDS, since=since
                )
                self.problem, fresh = None, False
            except TrainyardError as error:
                self.problem, fresh = error, True
            self._tell()
            await self._ask_for_capacity()
            await asyncio.sleep(PAUSE_SECONDS if self.problem else PACE_SECONDS)

    async def _ask_for_capacity(self) -> None:
        """Ask who has what, where that is another than at the last call; a run that only goes on changes nothing."""
        if self.state is None or self.problem:
            return
        lists = (self.state.running, self.state.waiting)
        held = [[each.run_id for each in runs] for runs in lists]
        if held == self._held:
            return
        try:
            self.capacity, self._held = await self.client.capacity(), held
        except TrainyardError:
            return  # the next long poll says what is the matter
        self._tell()

    def _tell(self) -> None:
        self._answered.set()
        for listener in tuple(self._listeners):
            listener()
