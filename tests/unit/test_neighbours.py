"""Whether one host reaches another."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
from trainyard.host import neighbours
from trainyard.host.neighbours import first_cut_off

FILLS_A_BACKLOG = 4


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"LOOK": 0.02, "CONNECT": 0.1, "CUT": 0.3}.items():
        monkeypatch.setattr(neighbours, f"{name}_SECONDS", seconds)


def silent(stack: ExitStack) -> str:
    """An address whose connections are neither taken nor refused: nobody takes those that came before."""
    full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(FILLS_A_BACKLOG):
        waits = stack.enter_context(socket.socket())
        waits.setblocking(False)
        waits.connect_ex(full.getsockname())
    return f"127.0.0.1:{full.getsockname()[1]}"


@pytest.mark.usefixtures("_soon")
def test_a_host_that_answers_or_refuses_is_reached_and_one_that_does_neither_is_cut_off() -> None:
    async def test() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        answers, refuses = f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "127.0.0.1:9"
        waits = asyncio.create_task(first_cut_off([answers, refuses]))
        with ExitStack() as stack:
            cut_off = silent(stack)
            assert await first_cut_off([answers, refuses, cut_off]) == cut_off
        assert not waits.done()
        waits.cancel()
        server.close()

    asyncio.run(asyncio.wait_for(test(), 30))
