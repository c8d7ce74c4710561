"""All runs of one service on this host: its orders, carried out; see `launcher.host_messages`.

The host serves one service at a time, and holds a lease from it: `launcher.hosts` says how. When the lease is over the
runs are ended, because by then the service may start them elsewhere.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import structlog

from trainyard.datasets.access import DataAccess
from trainyard.disk_space import is_full
from trainyard.errors import LaunchRefused, Unavailable
from trainyard.host.folders import HostFolders
from trainyard.host.hosted_run import HostedRun
from trainyard.launcher.host_messages import (
    KEPT_FILES,
    Beat,
    Beaten,
    Done,
    Find,
    Follow,
    HostAnswer,
    HostOrder,
    News,
    NotStarted,
    Offer,
    Open,
    Owned,
    Put,
    Release,
    Signal,
    Start,
    Tell,
    Unknown,
)
from trainyard.launcher.kept_files import put_at
from trainyard.launcher.messages import Job
from trainyard.launcher.protocol import Launcher, Process
from trainyard.rundir.folder import RunFolder

LOOK_AT_LEASE_SECONDS = 0.5
FULL_SECONDS = 30.0
"""How long a host takes no run whose disk was full as one was to begin; a quota shows in no other way."""
NEVER_SECONDS = 3600.0
"""How long it is known that a process is not to be started any more: an order that is later than that reaches nobody."""
KEPT_NUMBERS = 1024
"""A service says the newest number that it has; one older than this was under way for longer than any lease."""
log = structlog.get_logger()


class HostedRuns:
    """Carries out orders. Used on the event loop alone."""

    def __init__(  # noqa: PLR0913 - what a host is made of
        self,
        launcher: Launcher,
        offer: Offer,
        folders: HostFolders,
        *,
        as_here: Callable[[Job], Job],
        guard: Callable[[float], None] = lambda _: None,
        lacks: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lacks` says what the host has too little of for any run, such as room on its disk."""
        self._guard = guard
        self._lacks = lacks
        self._complaint, self._complains_until = "", 0.0
        self._clock = clock
        self._launcher = launcher
        self._offer = offer
        self._folders = folders
        self._as_here = as_here
        self._runs: dict[str, HostedRun] = {}
        self._opening = asyncio.Lock()
        self._never: dict[str, float] = {}
        """What is not to be started any more, and when that was said last."""
        self._owner: str | None = None
        self._given: dict[int, float] = {}
        self._number = self._newest_heard = 0
        self._lease_ends = 0.0

    async def carry_out(self, order: HostOrder) -> HostAnswer:
        """The answer to any order."""
        match order:
            case Beat():
                answer: HostAnswer = self._beat(order)
            case Open() | Put() | Start():
                answer = await self._prepared(order)
            case Follow():
                answer = await self._follow(order)
            case Tell():
                answer = self._tell(order)
            case Signal():
                answer = self._signal(order)
            case Find():
                answer = self._find(order)
            case Release():
                answer = await self._release(order.process_id)
        return answer

    async def keep(self) -> None:
        """Look at the lease until cancelled."""
        while True:
            await asyncio.sleep(LOOK_AT_LEASE_SECONDS)
            owner = self._owner
            if owner and self._clock() > self._lease_ends:
                try:
                    await self._end_all()
                except Exception:
                    log.exception("runs whose lease is over cannot be cleared away; tried again")
                    self._owner = self._owner or owner  # it may serve another by now

    async def _end_all(self) -> None:
        """The lease is over: nothing that the service asked for goes on."""
        log.warning("the service was not heard of", runs=len(self._runs), owner=self._owner)
        self._owner = None
        for run in self._runs.values():
            run.close()
        for process_id in list(self._runs):
            await self._release(process_id)

    def _beat(self, order: Beat) -> Beaten | Owned:
        if self._owner not in {None, order.owner}:
            return Owned(owner=str(self._owner))
        now = self._clock()
        if self._owner is None:
            self._owner = order.owner
            self._lease_ends = now + order.lease_seconds
            self._given.clear()  # what was heard before that lease does not end this one
        given = self._given.get(order.heard)
        late = order.heard < self._newest_heard  # a beat that was long under way
        if given is not None and not late:
            self._newest_heard = order.heard
            self._lease_ends = given + order.lease_seconds
        self._guard(self._lease_ends)
        self._number += 1
        self._given[self._number] = now
        self._given.pop(self._number - KEPT_NUMBERS, None)
        return Beaten(
            number=self._number,
            lease_left_seconds=self._lease_ends - now,
            version=version("trainyard"),
            warm=self._launcher.warm(),
            offer=self._offer,
            holds=tuple(self._runs),
            complaint=self._complains(),
        )

    async def _prepared(self, order: Open | Put | Start) -> HostAnswer:
        """What brings a run here. One that is released meanwhile is gone for ever, with what was made of it since."""
        answer = await self._brought(order)
        if order.process_id not in self._never:
            return answer
        await self._forget(order.process_id)
        return Unknown()

    async def _brought(self, order: Open | Put | Start) -> HostAnswer:
        """The answer. Whatever is raised, the service is told, and nothing is left: it tries elsewhere."""
        try:
            match order:
                case Open():
                    return await self._open(order)
                case Put():
                    return await self._put(order)
                case Start():
                    return await self._start(order)
        except OSError as error:
            return await self._not_started(
                order, f"what it needs cannot be written: {error}", error
            )
        except Exception as error:
            log.exception("a run cannot be started", process_id=order.process_id)
            return await self._not_started(order, f"{type(error).__name__}: {error}", error)

    async def _not_started(
        self, order: Open | Put | Start, why: str, error: Exception
    ) -> NotStarted:
        if is_full(error):
            self._complaint = f"its disk is full: {error}"
            self._complains_until = self._clock() + FULL_SECONDS
        await self._forget(order.process_id)
        return NotStarted(detail=why, for_good=False)

    def _complains(self) -> str:
        """Why no run should come: what was met lately, or can be seen."""
        return self._complaint if self._clock() < self._complains_until else self._lacks()

    async def _open(self, order: Open) -> Done | NotStarted | Unknown:
        """The run is known once its folder is whole: an order that comes again makes what the first one could not."""
        async with self._opening:
            if order.process_id in self._never:
                return Unknown()
            if order.process_id in self._runs:
                return Done()
            run = HostedRun(self._folders.of(order.process_id))
            await asyncio.to_thread(run.folder.create, order.submission)
            self._runs[order.process_id] = run
        return Done()

    async def _put(self, order: Put) -> Done | NotStarted | Unknown:
        run = self._runs.get(order.process_id)
        if run is None or run.process or order.name not in KEPT_FILES:
            return Unknown()
        await asyncio.to_thread(put_at, run.folder.path / order.name, order.offset, order.data)
        return Done()

    async def _start(self, order: Start) -> Done | NotStarted | Unknown:
        run = self._runs.get(order.process_id)
        if run is None:
            return Unknown()
        async with run.starting:
            if run.process:
                return Done()
            job = self._as_here(order.job).model_copy(update={"folder": run.folder.path})
            try:
                await asyncio.to_thread(_begun, run.folder, job)
                process = await self._launched(run, job)
            except (LaunchRefused, Unavailable) as error:
                await self._forget(order.process_id)
                refused = isinstance(error, LaunchRefused)
                return NotStarted(detail=error.detail, for_good=refused)
            run.watch(process, job.neighbours, searches=job.submission.searches)
            if order.process_id in self._never:  # it was released while it started
                run.close()
                return Unknown()
        await asyncio.to_thread(self._folders.note, order.process_id, process.id)
        return Done()

    async def _launched(self, run: HostedRun, job: Job) -> Process:
        if job.workers == 1:
            return await self._launcher.launch(job, run.hear)
        run.rank = job.rank
        return await self._launcher.launch_rank(job, run.hear, run.relay)

    def _tell(self, order: Tell) -> Done | Unknown:
        run = self._runs.get(order.process_id)
        if run is None:
            return Unknown()
        run.relay.tell(order.answer)
        return Done()

    async def _follow(self, order: Follow) -> News | Unknown:
        run = self._runs.get(order.process_id)
        return await run.news(order) if run and run.process else Unknown()

    def _signal(self, order: Signal) -> Done | Unknown:
        run = self._runs.get(order.process_id)
        if run is None or run.process is None:
            return Unknown()
        if order.kill:
            run.process.kill()
        else:
            run.process.ask_to_stop()
        return Done()

    def _find(self, order: Find) -> Done | Unknown:
        run = self._runs.get(order.process_id)
        if run is not None and run.process is not None:
            return Done()
        self._note_never(order.process_id)
        return Unknown()

    def _note_never(self, process_id: str) -> None:
        now = self._clock()
        self._never = {each: at for each, at in self._never.items() if at > now - NEVER_SECONDS} | {
            process_id: now
        }

    async def _release(self, process_id: str) -> Done:
        self._note_never(process_id)
        await self._forget(process_id)
        return Done()

    async def _forget(self, process_id: str) -> None:
        run = self._runs.pop(process_id, None)
        if run:
            run.close()
        if run or process_id in self._never:  # else another try to open it may be making the folder
            await asyncio.to_thread(_removed, self._folders.of(process_id))


def as_on(
    job: Job,
    *,
    access: DataAccess,
    left_for_data: Callable[[int], int],
    tracking_uri: str,
    locks: Path,
) -> Job:
    """The job with this host's own addresses and folders. A limit of the run's own holds, of which so much is left for data."""
    limit_mb = job.memory_limit_mb
    own = replace(access, workers=job.workers, judged=job.submission.request.judged)
    if limit_mb:
        own = replace(own, memory_mb=left_for_data(limit_mb))
    return job.model_copy(update={"access": own, "tracking_uri": tracking_uri, "locks": locks})


def _removed(folder: RunFolder) -> None:
    with suppress(OSError):  # of a folder that is not whole
        folder.close()
    folder.remove()


def _begun(folder: RunFolder, job: Job) -> None:
    rank = f"[rank {job.rank}] " if job.workers > 1 else ""
    with folder.log.open("a", encoding="utf-8") as log:
        log.write(f"{rank}runs on {job.placement[job.rank]}\n")
