"""The service's handle of a run's process on another host: what it tells and writes there is brought here.

The run's folder on the service's host is the truth that callers, MLflow and a later service see. Its copies of the
process's files are never behind what `ended` has said.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from trainyard.errors import HostLost, LaunchRefused, Unavailable
from trainyard.launcher.host_messages import (
    NO_EVENT,
    Done,
    Ended,
    Find,
    Follow,
    HostAnswer,
    HostOrder,
    News,
    NotStarted,
    Open,
    Put,
    Release,
    Signal,
    Start,
    Tell,
    Unknown,
)
from trainyard.launcher.hosts import Hosts
from trainyard.launcher.kept_files import KeptFiles
from trainyard.launcher.messages import Gathered, Job
from trainyard.launcher.process_id import node_of
from trainyard.launcher.protocol import Listener, Meeting, RankEnd, Used

ANSWER_SECONDS = 10.0
PUT_SECONDS = 60.0
"""What a host may take to make the folder of a run, or to write a piece there: its disk may answer nothing."""
START_SECONDS = 30.0
"""What a host may take to fork, with what waits there before it."""
FOLLOW_SECONDS = 2.0
PAUSE_SECONDS = 0.5
"""Before a host that did not answer is asked again."""
MISSED_SECONDS = 10.0
"""After which other ranks do not wait for one that nothing is heard of; it answers every `FOLLOW_SECONDS` at least."""
log = structlog.get_logger()


class RemoteProcess:
    """A process and its group on another host, as `protocol.Process` describes it.

    `files` are its copies on the service's host; None leaves what the process writes where it is. `meeting` is where it
    gives its texts as one of several ranks, which `rank` says which it is.
    """

    def __init__(  # noqa: PLR0913 - what a handle needs of its engine
        self,
        process_id: str,
        hosts: Hosts,
        files: KeptFiles | None,
        listener: Listener,
        *,
        rank: int = 0,
        meeting: Meeting | None = None,
        forget: Callable[["RemoteProcess"], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.node = node_of(process_id) or ""
        self._id = process_id
        self._hosts = hosts
        self._files = files
        self._rank, self._meeting = rank, meeting
        self._given = 0
        if meeting:
            meeting.seat(rank, self._tell)
        self._listener: Listener | None = listener
        self._forget = forget
        self._spawn = spawn
        self._heard = 0
        self._used = Used()
        self._code: int | None = None
        self._lost = False
        self._cut_from: str | None = None
        self._for_memory = False
        self._asked_at = math.inf  # nothing is asked of its host that it has not answered
        self._gone = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """What `find` knows it by."""
        return self._id

    @property
    def used(self) -> Used:
        """What its host has seen of it so far."""
        return self._used

    @property
    def ranks(self) -> Sequence[RankEnd]:
        """None: it is one alone, or one of them."""
        return ()

    @property
    def lost_with(self) -> str | None:
        """The host, where the process is gone because that is."""
        return self._hosts.name(self.node) if self._lost else None

    @property
    def cut_from(self) -> str | None:
        """As its host said when it ended it."""
        return self._cut_from

    @property
    def for_memory(self) -> bool:
        """As its host said when it had ended."""
        return self._for_memory

    @property
    def missed(self) -> str | None:
        """Its host, where that has not answered for long; it is given nothing else then."""
        silent = self._hosts.silent_seconds(self._asked_at) > MISSED_SECONDS
        if self._following is None or self._gone.is_set() or not silent:
            return self.lost_with
        self._hosts.miss(self.node)
        return self._hosts.name(self.node)

    async def begin(self, job: Job) -> None:
        """Have its host start it. Raises `HostLost`, `LaunchRefused` and `Unavailable`; nothing is left of it then."""
        await self._put_there(Open(process_id=self._id, submission=job.submission))
        for name in self._files.brought if self._files else ():
            await self._bring(name)
        answer = await self._prepared(Start(process_id=self._id, job=job), START_SECONDS)
        if isinstance(answer, Unknown):
            raise HostLost(f"the host {self._hosts.name(self.node)} started again")
        self.follow()

    async def is_there(self) -> bool:
        """Whether its host has it; once it has not, it never will. A host that is lost has nothing."""
        try:
            answer = await self._carried_out(Find(process_id=self._id), ANSWER_SECONDS)
        except HostLost:
            return False
        return isinstance(answer, Done)

    def follow(self, *, anew: bool = False) -> None:
        """Hear of it from now on; `anew` is for one that an earlier service has started."""
        self._heard = NO_EVENT if anew else self._heard
        self._following = asyncio.create_task(self._follow())

    async def ended(self) -> int | None:
        """Wait until it is gone, and all that it told and wrote is here, or its host was lost. Its exit code."""
        await self._gone.wait()
        return self._code

    def ask_to_stop(self) -> None:
        """Have its host send it SIGTERM."""
        self._send(Signal(process_id=self._id, kill=False))

    def kill(self) -> None:
        """Have its host kill it."""
        self._send(Signal(process_id=self._id, kill=True))

    def release(self) -> None:
        """Have its host end what is left of it, and forget it."""
        self.let_go()
        self._send(Release(process_id=self._id))

    def let_go(self) -> None:
        """Hear of it no more, and leave it as it is."""
        self._listener = None
        if self._following:
            self._following.cancel()
        self._gone.set()
        self._forget(self)

    def _tell(self, answer: Gathered) -> None:
        self._send(Tell(process_id=self._id, answer=answer))

    def _send(self, order: Signal | Release | Tell) -> None:
        async def deliver() -> None:
            with contextlib.suppress(HostLost):
                await self._carried_out(order, ANSWER_SECONDS)

        self._spawn(deliver())

    async def _carried_out(self, order: HostOrder, seconds: float) -> HostAnswer:
        """The answer, however often the host must be asked. Raises `HostLost`."""
        while True:
            try:
                return await self._hosts.ask(self.node, order, seconds)
            except Unavailable as error:
                if self._hosts.lost(self.node):
                    raise HostLost(
                        f"the host {self._hosts.name(self.node)} was lost: {error}"
                    ) from error
            await asyncio.sleep(PAUSE_SECONDS)

    async def _prepared(self, order: Open | Put | Start, seconds: float) -> HostAnswer:
        """As `_carried_out`. Raises `LaunchRefused`, and `Unavailable` where the host cannot now."""
        answer = await self._carried_out(order, seconds)
        if not isinstance(answer, NotStarted):
            return answer
        if answer.for_good:
            raise LaunchRefused(answer.detail)
        raise Unavailable(
            f"the host {self._hosts.name(self.node)} cannot start it now: {answer.detail}"
        )

    async def _put_there(self, order: Open | Put) -> None:
        """As `_prepared`. Where the host does not answer this for long there is no process for certain, and it is `HostLost`."""
        try:
            async with asyncio.timeout(PUT_SECONDS):
                await self._prepared(order, ANSWER_SECONDS)
        except TimeoutError as error:
            host = self._hosts.name(self.node)
            raise HostLost(
                f"the host {host} has not written what the run needs within {PUT_SECONDS:g} s"
            ) from error

    async def _bring(self, name: str) -> None:
        """Give the host what an earlier process of the run wrote, so that its file goes on where this one ends."""
        assert self._files is not None
        offset = 0
        while data := await asyncio.to_thread(self._files.read, name, offset):
            piece = Put(process_id=self._id, name=name, offset=offset, data=data)
            await self._put_there(piece)
            offset += len(data)

    async def _follow(self) -> None:
        try:
            while not self._gone.is_set():
                order = await asyncio.to_thread(self._wanted)
                self._asked_at = time.monotonic()
                answer = await self._carried_out(order, FOLLOW_SECONDS + ANSWER_SECONDS)
                if not isinstance(answer, News):
                    self._lose("its host has nothing of it any more")
                elif await self._taken(answer) and answer.ended:
                    self._over(answer.ended)
        except HostLost as error:
            self._lose(str(error))
        except Exception:
            log.exception("a run on another host cannot be followed", process_id=self._id)
            self.kill()
            self._over(None)

    def _wanted(self) -> Follow:
        files = self._files
        return Follow(
            process_id=self._id,
            sizes=files.sizes() if files else {},
            heard=self._heard,
            wait_seconds=FOLLOW_SECONDS,
            given=self._given,
            end_search=files is not None and files.folder.end_of_search.exists(),
        )

    async def _taken(self, news: News) -> bool:
        """Whether all of it is here now; a full disk may have room later."""
        self._asked_at = math.inf  # it is asked nothing until this is done, however long that takes
        for given in news.given:
            if self._meeting:
                self._meeting.take(self._rank, given)
            self._given += 1
        for event in news.events:
            if self._listener:
                self._listener(event)
            self._heard = max(self._heard, event.sequence)
        self._heard = max(self._heard, 0)
        self._used = news.used
        try:
            await asyncio.to_thread(self._write, news)
        except OSError as error:
            log.warning("what a run wrote cannot be kept", process_id=self._id, why=str(error))
            await asyncio.sleep(PAUSE_SECONDS)
            return False
        return True

    def _write(self, news: News) -> None:
        if self._files is None:
            return
        for piece in news.pieces:
            self._files.put(piece)
        if news.ended and news.ended.outcome:
            self._files.end(news.ended.outcome)

    def _lose(self, why: str) -> None:
        log.warning("a run was lost with its host", process_id=self._id, why=why)
        self._lost = True
        self._gone.set()

    def _over(self, ended: Ended | None) -> None:
        if ended:
            self._code, self._cut_from = ended.code, ended.cut_from
            self._for_memory = ended.for_memory
        self._gone.set()
