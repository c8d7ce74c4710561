"""A process that the service keeps: it is started again, whatever kept it from being started or heard."""

import asyncio
import errno
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from trainyard.errors import Unavailable
from trainyard.launcher import kept_server
from trainyard.launcher.kept_server import KeptServer
from trainyard.launcher.messages import Alive, Ping, Ready, as_line

pytestmark = pytest.mark.anyio
ANSWERS = f"""#!{sys.executable}
import json, socket, sys

line = socket.socket(fileno=int(sys.argv[1]))
line.sendall({as_line(Ready(models=[], broken={}))!r})
for order in line.makefile():
    line.sendall({as_line(Alive(number=-1))!r}.replace(b"-1", b"%d" % json.loads(order)["number"]))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Where the process's program is looked for; nothing is there yet."""
    return tmp_path / "answers"


def install(program: Path) -> None:
    program.write_text(ANSWERS)
    program.chmod(0o755)


@asynccontextmanager
async def kept(program: Path) -> AsyncIterator[KeptServer]:
    server = KeptServer(
        [str(program)], dict(os.environ), on_report=lambda _: None, on_lost=lambda: None
    )
    keeper = asyncio.create_task(server.keep())
    try:
        yield server
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def sign_of_life(server: KeptServer) -> None:
    await server.ask(
        lambda number: Ping(number=number), lambda _: None, ready_seconds=30, answer_seconds=30
    )


async def test_a_process_that_cannot_be_started_is_started_later(program: Path, monkeypatch):
    monkeypatch.setattr(kept_server, "FIRST_PAUSE_SECONDS", 0.01)
    with structlog.testing.capture_logs() as said:
        async with kept(program) as server, asyncio.timeout(30):
            while not said:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.01)
            install(program)
            await sign_of_life(server)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files"),
        (ValueError("filedescriptor out of range in select()"), "out of range"),
    ],
)
async def test_an_answer_that_cannot_be_taken_costs_its_order_alone(
    program: Path, error: Exception, told: str
):
    """A `ValueError` was told as a line that is too long, and the order waited out its time."""

    def take(_: Alive) -> None:
        raise error

    install(program)
    async with kept(program) as server:
        await sign_of_life(server)
        process = server._process
        with pytest.raises(Unavailable, match=told):
            await server.ask(
                lambda number: Ping(number=number), take, ready_seconds=1, answer_seconds=30
            )
        await sign_of_life(server)
        assert server._process is process
