"""All that a service has in hand at one moment, and who waits for it to change."""

import asyncio
import json
import time
from collections.abc import Callable

from trainyard.contract import RunStatus
from trainyard.supervisor.known_runs import KnownRuns
from trainyard.supervisor.live_run import LiveRun

MOST_ENDED = 20


class Yard:
    """One snapshot a change, made of the snapshots of the runs and shared by all who ask."""

    def __init__(
        self, known: KnownRuns, *, service: str, slots: Callable[[], int], queue_limit: int
    ) -> None:
        self._known = known
        self._slots = slots
        self._facts = {"service": service, "queue_limit": queue_limit}
        self._version = int(time.time() * 1000)  # not one that an earlier service gave out
        self._changed = asyncio.Event()
        self._json: bytes | None = None

    def touch(self) -> None:
        """Something has changed."""
        self._version, self._json = self._version + 1, None
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, seconds: float, since: int | None) -> bytes:
        """A `YardState` as JSON, once its version is another than `since`, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while since == self._version:
                    await self._changed.wait()
        except TimeoutError:
            pass
        if self._json is None:
            self._json = self._made()
        return self._json

    def _made(self) -> bytes:
        runs = list(self._known)
        waiting = [live for live in runs if live.run.status is RunStatus.SCHEDULED]
        ended = [live for live in runs if live.run.status.ended]
        parts = {
            "running": [live for live in runs if live.run.status is RunStatus.RUNNING],
            "waiting": sorted(waiting, key=lambda live: live.run.queue_position or 0),
            "ended": sorted(ended, key=_end, reverse=True)[:MOST_ENDED],
        }
        lists = [
            f'"{name}":['.encode() + b",".join(live.json() for live in part) + b"]"
            for name, part in parts.items()
        ]
        facts = json.dumps(
            {"version": self._version, "slots": self._slots(), **self._facts}
        ).encode()
        return b",".join([facts[:-1], *lists]) + b"}"


def _end(live: LiveRun) -> float:
    ended_at = live.run.ended_at
    return ended_at.timestamp() if ended_at else 0.0
