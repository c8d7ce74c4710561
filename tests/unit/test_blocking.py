"""The threads in which a service makes its calls: there from the beginning."""

import asyncio
import threading
from typing import Any

import pytest
from trainyard.supervisor.blocking import Blocking
from trainyard.threads import started


def no_thread(*_: Any) -> None:
    raise RuntimeError("can't start new thread")


def test_a_service_makes_its_calls_where_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch):
    """As in a container whose `pids` limit a run has used up. A pool that grows took the call, and raised."""
    blocking = Blocking("http://127.0.0.1:9", lambda: True)
    monkeypatch.setattr(threading.Thread, "start", no_thread)

    async def calls() -> list[Any]:
        one = (blocking.run, blocking.mlflow, blocking.in_turn)
        return [*[await each(lambda: 7) for each in one], await blocking.mlflow_answers()]

    assert asyncio.run(calls()) == [7, 7, 7, True]
    asyncio.run(blocking.close())


def test_threads_that_cannot_all_be_started_are_none(monkeypatch: pytest.MonkeyPatch):
    start, left = threading.Thread.start, [1, 2]

    def two(thread: threading.Thread) -> None:
        left.pop() if left else no_thread()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", two)
    with pytest.raises(RuntimeError, match="can't start"):
        started(3, "three")
    for thread in threading.enumerate():
        if thread.name.startswith("three"):
            thread.join(10)
            assert not thread.is_alive()
