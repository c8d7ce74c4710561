"""Blocking calls, MLflow's above all, from the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import requests
from mlflow.exceptions import MlflowException

from trainyard.buffering import is_away
from trainyard.errors import Unavailable

AWAY_PAUSE_SECONDS = 2.0
T = TypeVar("T")


class Threads:
    """A pool of threads, and what an MLflow that does not answer means."""

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="blocking")

    async def run(self, call: Callable[[], T]) -> T:
        """Make the call in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def mlflow(self, call: Callable[[], T]) -> T:
        """Ask MLflow. Raises `Unavailable` when it does not answer; its refusals pass."""
        try:
            return await self.run(call)
        except (MlflowException, requests.RequestException) as error:
            if is_away(error):
                message = f"MLflow at {self._tracking_uri} does not answer"
                raise Unavailable(message) from error
            raise

    async def until_mlflow_answers(self, call: Callable[[], T]) -> T:
        """Ask MLflow as often as it takes."""
        while True:
            try:
                return await self.mlflow(call)
            except Unavailable:
                await asyncio.sleep(AWAY_PAUSE_SECONDS)

    def close(self) -> None:
        """Take no more calls."""
        self._pool.shutdown(wait=False, cancel_futures=True)
