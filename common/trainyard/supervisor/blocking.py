"""Blocking calls, MLflow's above all, from the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import requests
import structlog
from mlflow.exceptions import MlflowException

from trainyard.errors import Unavailable
from trainyard.scarcity import is_scarce
from trainyard.threads import started
from trainyard.tracking.availability import how_away, is_away

PAUSE_SECONDS = 2.0
LAST_CALLS_SECONDS = 12.0
"""How long a stop waits for calls that are on their way to MLflow: a little more than a call may take."""
log = structlog.get_logger()
T = TypeVar("T")


class Blocking:
    """Threads to make the calls in, and what it means when MLflow does not answer.

    `answers` asks MLflow whether it is there, with a short time-out. However many calls wait for MLflow to come back,
    it is asked once every two seconds.
    """

    def __init__(self, tracking_uri: str, answers: Callable[[], bool]) -> None:
        self._tracking_uri = tracking_uri
        self._answers = answers
        self._disk_threads = started(8, "disk")
        self._mlflow_threads = started(16, "mlflow")
        self._probe_threads = started(2, "probe")
        self._turn_threads = started(4, "turn")
        self.waits_for = ""
        """Why `until_mlflow_answers` has no answer yet; empty where nothing waits."""
        self._probe: asyncio.Future[bool] | None = None
        self._back: asyncio.Task[None] | None = None
        self._on_their_way: set[asyncio.Future[Any]] = set()

    async def run(self, call: Callable[[], T]) -> T:
        """Make a call that does not leave this machine. No MLflow that hangs holds it up."""
        return await asyncio.get_running_loop().run_in_executor(self._disk_threads, call)

    async def once_it_can(self, call: Callable[[], T]) -> T:
        """As `run`, as often as it takes while this machine has no file, or no memory, for it."""
        while True:
            try:
                return await self.run(call)
            except (OSError, MemoryError) as error:
                if not is_scarce(error):
                    raise
                log.warning("what a run left cannot be read yet", why=str(error))
            await asyncio.sleep(PAUSE_SECONDS)

    async def mlflow(self, call: Callable[[], T]) -> T:
        """Ask MLflow. Raises `Unavailable` when it does not answer; its refusals pass."""
        return await self._asked(self._mlflow_threads, call)

    async def in_turn(self, call: Callable[[], T]) -> T:
        """As `mlflow`, of what waits for a registered model's turn, which whoever has it may not give back for long."""
        return await self._asked(self._turn_threads, call)

    async def _asked(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        made = asyncio.get_running_loop().run_in_executor(threads, call)
        self._on_their_way.add(made)
        made.add_done_callback(self._arrived)
        try:
            return await asyncio.shield(made)  # nobody can call back what is on its way
        except (MlflowException, requests.RequestException) as error:
            if is_away(error):
                raise Unavailable(f"MLflow at {self._tracking_uri} {how_away(error)}") from error
            raise

    async def until_mlflow_answers(self, call: Callable[[], T]) -> T:
        """Ask MLflow as often as it takes."""
        while True:
            try:
                answer = await self.mlflow(call)
            except Unavailable as error:
                self._wait_for(error.detail)
                await self.mlflow_is_back()
            else:
                self.waits_for = ""
                return answer

    def _wait_for(self, why: str) -> None:
        if self.waits_for != why:
            log.warning("MLflow is waited for", why=why)
        self.waits_for = why

    async def mlflow_is_back(self) -> None:
        """Wait until MLflow answers, for two seconds at least."""
        if self._back is None or self._back.done():
            self._back = asyncio.create_task(self._watch())
        await asyncio.shield(self._back)

    async def mlflow_answers(self) -> bool:
        """Whether MLflow answers, asked in a thread that no other call holds up, and once for all who ask meanwhile."""
        if self._probe is None or self._probe.done():
            loop = asyncio.get_running_loop()
            self._probe = loop.run_in_executor(self._probe_threads, self._answers)
        return await asyncio.shield(self._probe)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if await self.mlflow_answers():
                return

    async def close(self) -> None:
        """Take no more calls, and let those that are on their way to MLflow arrive before a later service's do."""
        if self._back:
            self._back.cancel()
        for threads in (
            self._disk_threads,
            self._mlflow_threads,
            self._probe_threads,
            self._turn_threads,
        ):
            threads.shutdown(wait=False, cancel_futures=True)
        if self._on_their_way:
            await asyncio.wait(self._on_their_way, timeout=LAST_CALLS_SECONDS)

    def _arrived(self, made: asyncio.Future[Any]) -> None:
        self._on_their_way.discard(made)
        if not made.cancelled():
            made.exception()  # whoever waited for it may be gone
