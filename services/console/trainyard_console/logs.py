"""The logs that a person's pages show, each followed once, however many pages show it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from trainyard.client import AsyncTrainyardClient
from trainyard.errors import TrainyardError

from trainyard_console.words import said

LOG_LINES = 500
Reader = Callable[[str], None]
logger = logging.getLogger(__name__)


@dataclass
class Log:
    """The newest lines of one run's log, and who is told of each that comes."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    readers: set[Reader] = field(default_factory=set)
    task: asyncio.Task[None] | None = None

    def tell(self, line: str) -> None:
        """One more line. A page that cannot show it keeps no other from doing so."""
        self.lines.append(line)
        for reader in tuple(self.readers):
            try:
                reader(line)
            except Exception:
                logger.exception("a line could not be shown")


class Logs:
    """The logs of one service's runs that are shown now."""

    def __init__(self, client: AsyncTrainyardClient) -> None:
        self._client = client
        self._logs: dict[str, Log] = {}

    def read(self, run_id: str, reader: Reader) -> None:
        """Tell of the log's newest lines and of each that comes, until `leave`."""
        if run_id not in self._logs:
            log = self._logs[run_id] = Log()
            log.task = asyncio.create_task(self._follow(run_id, log))
        log = self._logs[run_id]
        for line in log.lines:
            reader(line)
        log.readers.add(reader)

    def leave(self, run_id: str, reader: Reader) -> None:
        """Tell no more. A log that nobody reads is not followed."""
        log = self._logs.get(run_id)
        if log is None:
            return
        log.readers.discard(reader)
        if not log.readers and log.task:
            log.task.cancel()
            del self._logs[run_id]

    async def _follow(self, run_id: str, log: Log) -> None:
        try:
            async for line in self._client.follow_logs(run_id, tail=LOG_LINES):
                log.tell(line)
        except TrainyardError as error:
            log.tell(f"(the log cannot be followed: {said(error)})")
            if self._logs.get(run_id) is log:
                del self._logs[run_id]  # who reads it next has it asked for anew
