"""Whether one host reaches another."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
from trainyard.host import neighbours
from trainyard.host.neighbours import CUT_SECONDS, first_cut_off
from virtual_time import VirtualLoop

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


@pytest.mark.parametrize("stands_still_at", [1.0, 3.0])
def test_a_host_is_not_cut_off_by_that_nobody_looked_for_long(
    stands_still_at: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The actor stood still, between two looks or within one that therefore failed, and then reaches it as before."""
    looked_at: list[float] = []

    async def reaches(_: str) -> bool:
        began = loop.time()
        looked_at.append(began)
        await asyncio.sleep(1.5)
        return loop.time() < began + neighbours.CONNECT_SECONDS

    async def test() -> None:
        waits = asyncio.create_task(first_cut_off(["10.0.0.1:9"]))
        await asyncio.sleep(stands_still_at)
        loop.now += CUT_SECONDS * 2
        await asyncio.sleep(CUT_SECONDS * 2)
        assert not waits.done()
        assert looked_at[-1] > CUT_SECONDS * 3

    monkeypatch.setattr(neighbours, "_reaches", reaches)
    loop = VirtualLoop()
    loop.do(test())
    loop.bury()
