"""What a route gets by naming its type: FastAPI's dependencies, as annotations."""

import asyncio
import re
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from trainyard.api.roles import caller_of
from trainyard.contract import Caller
from trainyard.errors import UnknownRun
from trainyard.people.audit import AuditTrail
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.supervisor.protocol import Runs

T = TypeVar("T")
RUN_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True)
class Context:
    """What an application was built from. `stopping` is set once the server was told to stop."""

    supervisor: Runs
    service: Service
    settings: Settings
    stopping: asyncio.Event
    audit: AuditTrail

    async def hold(self, waiting: Coroutine[Any, Any, T]) -> T | None:
        """Wait for what `supervisor.wait` and its like give; None when the service stops first."""
        wait = asyncio.ensure_future(waiting)
        stop = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({wait, stop}, return_when=asyncio.FIRST_COMPLETED)
            return await wait if wait.done() else None
        finally:
            wait.cancel()
            stop.cancel()


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def _supervisor(request: Request) -> Runs:
    context: Context = request.app.state.context
    return context.supervisor


async def _caller(request: Request) -> Caller | None:
    return caller_of(request)


def _must_be_a_run_id(value: str) -> str:
    if not RUN_ID.fullmatch(value):
        raise UnknownRun(f"{value[:64]!r} is not a run id; one is 32 hexadecimal digits")
    return value


TheContext = Annotated[Context, Depends(_context)]
TheSupervisor = Annotated[Runs, Depends(_supervisor)]
TheCaller = Annotated[Caller | None, Depends(_caller)]
RunId = Annotated[
    str,
    AfterValidator(_must_be_a_run_id),
    Path(description="The MLflow run_id: 32 hexadecimal digits"),
]
