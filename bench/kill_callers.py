"""Callers as a service should have them: each asks with its key until it is answered, then waits for its run's end."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
from tenacity import RetryError, retry, retry_if_exception_type, stop_when_event_set, wait_random

CALLERS = 8
LATER = frozenset({429, 503})
CANCELLED = 0.05
FAILS = 0.05


class NotNow(Exception):
    """The service was away, full or not ready: the same call may do better in a moment."""


def request(chance: random.Random) -> dict[str, Any]:
    """A run of under a second; a few fail by themselves, and not all may be tried again."""
    return {
        "model": "brief",
        "params": {"rounds": chance.randint(1, 40), "fails": chance.random() < FAILS},
        "data": {"source": "builtin", "name": "iris"},
        "max_attempts": chance.randint(1, 5),
        "on_existing": "attach",
    }


@dataclass
class Callers:
    """What they asked for, and what they were answered: a run's id for each key."""

    api: str
    seed: int
    count: int
    accepted: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    http: httpx.Client = field(default_factory=partial(httpx.Client, timeout=60, trust_env=False))
    """One for all: making one takes a third of a core from what is measured."""
    request: Callable[[random.Random], dict[str, Any]] = request

    def start(self) -> ThreadPoolExecutor:
        """Submit all of them, from a few threads; `done` says when that is over."""
        threads = ThreadPoolExecutor(CALLERS)
        for number in range(self.count):
            threads.submit(self._one, number)
        return threads

    @property
    def done(self) -> bool:
        """Whether each has its answer."""
        return len(self.accepted) + len(self.refused) == self.count

    def _one(self, number: int) -> None:
        key, chance = f"{self.seed}-{number}", random.Random(f"{self.seed}-{number}")  # noqa: S311 - a seeded choice, no secret
        try:
            run = self.ask(
                "POST", "/train", json=self.request(chance), headers={"Idempotency-Key": key}
            )
            if chance.random() < CANCELLED:
                self.ask("DELETE", f"/train/{run['run_id']}")
            self.accepted[key] = run["run_id"]
        except httpx.HTTPStatusError as error:
            self.refused[key] = f"{error}\n{error.response.text}"  # with its detail and errors
        except RetryError as error:
            self.refused[key] = str(error)

    def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The answer, once there is one."""
        patiently = retry(
            retry=retry_if_exception_type((NotNow, httpx.TransportError)),
            wait=wait_random(0.05, 0.5),
            stop=stop_when_event_set(self.over),
        )
        return dict(patiently(self._answer)(method, path, **options))

    def _answer(self, method: str, path: str, **options: Any) -> Any:
        answer = self.http.request(method, self.api + path, **options)
        if answer.status_code in LATER:
            raise NotNow(answer.text)
        return answer.raise_for_status().json()
