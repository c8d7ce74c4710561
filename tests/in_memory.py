"""A service over runs in memory, on a port of the loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trainyard.api.app import create_app
from trainyard.api.server import Server
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.testing import InMemoryRuns


@asynccontextmanager
async def serving(
    runs: InMemoryRuns, *, port: int = 0, token: str | None = None
) -> AsyncIterator[str]:
    """The service over `runs`; its address."""
    stopping = asyncio.Event()
    settings = Settings.model_validate({"token": token})
    app = create_app(runs, Service("example", "package", 0), settings, stopping=stopping)
    with socket.create_server(("127.0.0.1", port)) as listening:
        server = Server(app, host="127.0.0.1", port=port, stopping=stopping)
        served = asyncio.ensure_future(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await served
