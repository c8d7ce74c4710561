"""Serving over HTTP: the process's life from its start to a signal."""

import asyncio
import signal
import socket
from contextlib import suppress

import structlog
import uvicorn
from starlette.types import ASGIApp

from trainyard.api import log
from trainyard.api.app import create_app
from trainyard.api.evenly import answer_evenly
from trainyard.api.protocol import BoundedHead
from trainyard.errors import ServiceError
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.threads import started
from trainyard.uncollected import uncollected

GRACE_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
THREADS = 8


class Server(uvicorn.Server):
    """Uvicorn, which sets `stopping` when it is told to stop, and only then waits for open answers."""

    def __init__(self, app: ASGIApp, *, host: str, port: int, stopping: asyncio.Event) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="uvloop",
                http=BoundedHead,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, with threads for what is done beside the event loop."""
        asyncio.get_running_loop().set_default_executor(started(THREADS, "beside"))
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Have calls that wait for a run answered, then close."""
        self.stopping.set()
        await super().shutdown(sockets)


def serve(service: Service, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ServiceError` when the service cannot start."""
    with uncollected():
        from trainyard.supervisor.supervisor import Supervisor

    log.configure()
    logger = structlog.get_logger("trainyard.api")
    port = settings.port or service.port
    if not settings.closed:
        logger.warning("no token is set: listening on loopback only", host=settings.host)
    logger.info("starting", service=service.name, host=settings.host, port=port)
    stopping = asyncio.Event()
    app = create_app(Supervisor(service, settings), service, settings, stopping=stopping)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises a signal again once it has stopped
    server = Server(app, host=settings.host, port=port, stopping=stopping)
    answer_evenly()
    with suppress(SystemExit):  # uvicorn's way to say that it did not start
        server.run()
    if not server.started:
        raise ServiceError(f"{service.name} could not start on {settings.host}:{port}; see its log")
