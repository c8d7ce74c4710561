"""A process of the service's own as the service sees it: started again whenever it dies or hangs, it answers orders.

That is the fork server, or the bridge to other hosts.

An order that is not answered in time may mean that the process hangs: it was stopped, or waits for a disk that
does not answer. It is then asked for a sign of life, and killed if it gives none. Runs that a fork server has forked
are not lost by that: as `protocol` promises they outlive it, train on, and write their outcome. Only their exit code is
never known; a run that ends without an outcome after that has `crashed`, and is tried again as far as its attempts
allow.
"""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from trainyard.errors import LaunchRefused, TrainyardError, Unavailable
from trainyard.launcher.messages import (
    Alive,
    Exited,
    Ping,
    Ready,
    Refused,
    as_line,
    reports,
)

LONGEST_LINE_BYTES = 16 * 1024 * 1024
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LEAVE_SECONDS = 2.0
SIGN_OF_LIFE_SECONDS = 5.0
"""How long a fork server that left an order unanswered may take to show that it still answers any."""
Answer = TypeVar("Answer")
log = structlog.get_logger()


@dataclass(frozen=True)
class Tongue:
    """What a kept process says, and what it is called."""

    name: str
    parse: Callable[[bytes], Any]
    """Makes a report of a line. Raises `ValidationError`."""
    first: type[BaseModel]
    """The report that says it is ready."""
    unasked: tuple[type[BaseModel], ...]
    """Reports that answer no order."""


FORK_SERVER = Tongue("the fork server", reports.validate_json, Ready, (Exited,))


class KeptServer:
    """Asks the process, and hands on what it reports unasked."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        on_report: Callable[[Any], None],
        on_lost: Callable[[], None],
        tongue: Tongue = FORK_SERVER,
    ) -> None:
        self._tongue = tongue
        self._command = command
        self._environment = environment
        self._on_report = on_report
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[asyncio.Future[Any], Callable[[Any], Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._doubt: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether it would answer at once."""
        return self._ready.is_set()

    async def keep(self) -> None:
        """Keep it alive until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            was_ready = False
            try:
                was_ready = await self._live_once()
            except (OSError, RuntimeError) as error:  # no memory, process, thread or file to be had
                log.warning("a process cannot be kept", process=self._tongue.name, why=str(error))
            pause = FIRST_PAUSE_SECONDS if was_ready else min(pause * 2, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def ask(
        self,
        order: Callable[[int], BaseModel],
        accept: Callable[[Any], Answer],
        *,
        ready_seconds: float,
        answer_seconds: float,
    ) -> Answer:
        """What `accept` makes of the answer, at the moment it arrives. Raises `Unavailable` or `LaunchRefused`."""
        try:
            async with asyncio.timeout(ready_seconds):
                await self._ready.wait()
        except TimeoutError as error:
            raise Unavailable(
                f"{self._tongue.name} was not ready within {ready_seconds:g} s"
            ) from error
        try:
            return await self._answer(order, accept, answer_seconds)
        except TimeoutError as error:
            if self._doubt is None or self._doubt.done():
                self._doubt = asyncio.create_task(self._end_if_it_hangs())
            raise Unavailable(
                f"{self._tongue.name} did not answer within {answer_seconds:g} s"
            ) from error

    async def _answer(
        self,
        order: Callable[[int], BaseModel],
        accept: Callable[[Any], Answer],
        seconds: float,
    ) -> Answer:
        """As `ask`, of a server that is ready. Raises `TimeoutError` too."""
        if self._writer is None:
            raise Unavailable(f"{self._tongue.name} is starting again")
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer, accept
        self._writer.write(as_line(order(number)))
        try:
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            self._waiting.pop(number, None)

    async def _end_if_it_hangs(self) -> None:
        """Kill the server if it gives no sign of life; `keep` then starts another."""
        process = self._process
        try:
            await self._answer(lambda number: Ping(number=number), _alive, SIGN_OF_LIFE_SECONDS)
        except Unavailable:
            return  # it has ended by itself
        except TimeoutError:
            log.exception(
                "a process hangs and is started again",
                process=self._tongue.name,
                silent_seconds=SIGN_OF_LIFE_SECONDS,
            )
            with contextlib.suppress(ProcessLookupError):
                if process:
                    process.kill()

    async def _live_once(self) -> bool:
        process, reader, self._writer = await self._started()
        self._process = process
        try:
            await self._listen(reader)
            code = await process.wait()
            log.warning("a process ended", process=self._tongue.name, code=code)
        finally:
            was_ready = self.ready
            self._lost()
            await _leave(process)
        return was_ready

    async def _started(
        self,
    ) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader, asyncio.StreamWriter]:
        """A process and the service's end of its line. Raises OSError; a process that has no line ends by itself."""
        ours, its = socket.socketpair()
        with its, contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            process = await asyncio.create_subprocess_exec(
                *self._command, str(its.fileno()), env=self._environment, pass_fds=[its.fileno()]
            )
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LONGEST_LINE_BYTES)
            undo.pop_all()
        return process, reader, writer

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                try:
                    text = await reader.readline()
                except ValueError:
                    log.warning(
                        "a line was too long", process=self._tongue.name, limit=LONGEST_LINE_BYTES
                    )
                    continue
                if not text:
                    return
                self._hear(text)

    def _hear(self, text: bytes) -> None:
        try:
            report = self._tongue.parse(text)
        except ValidationError as error:
            log.warning("said something odd", process=self._tongue.name, why=str(error)[:500])
        else:
            self._told(report)

    def _told(self, report: Any) -> None:
        if isinstance(report, (self._tongue.first, *self._tongue.unasked)):
            self._on_report(report)
            if isinstance(report, self._tongue.first):
                self._ready.set()
            return
        answer, accept = self._waiting.pop(report.number, (None, None))
        if answer is None or accept is None or answer.done():
            if not isinstance(report, Alive | Refused):
                self._on_report(report)  # nobody waits for it any more
        elif isinstance(report, Refused):
            refused = LaunchRefused if report.for_good else Unavailable
            answer.set_exception(refused(report.detail))
        else:
            try:
                answer.set_result(accept(report))
            except TrainyardError as error:
                answer.set_exception(error)
            except Exception as error:  # noqa: BLE001 - it costs the order, and never the line
                answer.set_exception(
                    Unavailable(f"the answer of {self._tongue.name} cannot be taken: {error}")
                )
                log.warning("an answer cannot be taken", process=self._tongue.name, why=str(error))

    def _lost(self) -> None:
        self._ready.clear()
        if self._writer:
            self._writer.close()
            self._writer = None
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(Unavailable(f"{self._tongue.name} ended; try again"))
        self._waiting.clear()
        self._on_lost()


def _alive(_: Alive) -> bool:
    return True


async def _leave(process: asyncio.subprocess.Process) -> None:
    """Its line is closed, so a fork server ends by itself with its children, unless it still imports or hangs."""
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
