"""Who did what: each call that changes something is written down before it is answered, and `GET /audit` reads it."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trainyard.api.dependencies import TheContext
from trainyard.api.problems import documented
from trainyard.errors import Unavailable
from trainyard.peers.services import PATHS
from trainyard.people.audit import AuditPage, AuditTrail, Entry

READING = frozenset({"GET", "HEAD", "OPTIONS"})
FORBIDDEN = 403
LONGEST_PATH = 200
LONGEST_ABOUT = 500
BETWEEN_SERVICES = "another service"
router = APIRouter(tags=["operations"])
log = structlog.get_logger()

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[int | None, Query(ge=0, lt=2**53, description="Where the page before ended")]


def note(request: Request, *, run_id: str | None = None, about: str | None = None) -> None:
    """Say, for the entry of this call, which run it was about, or what was asked for."""
    if run_id is not None:
        request.state.audit_run_id = run_id
    if about is not None:
        request.state.audit_about = about[:LONGEST_ABOUT]


@router.get("/audit", responses=documented(401, 422, 503))
async def get_audit(context: TheContext, limit: Limit = 100, cursor: Cursor = None) -> AuditPage:
    """Who did what, newest first: each call that changed something, or was refused for its role."""
    try:
        return await asyncio.to_thread(context.audit.page, limit=limit, before=cursor)
    except OSError as error:
        raise Unavailable(f"the audit cannot be read: {error}") from error


class Audited:
    """Writes an entry before the answer is sent, so that whoever was answered is in it.

    A full disk keeps nobody from cancelling a run: then the entry is in the service's log alone.
    """

    def __init__(self, app: ASGIApp, trail: AuditTrail) -> None:
        self.app = app
        self._trail = trail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, and its answer back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                if scope["method"] not in READING or status == FORBIDDEN:
                    await self._write(_entry(scope, status))
            await send(message)

        await self.app(scope, receive, sent)

    async def _write(self, entry: Entry) -> None:
        try:
            await asyncio.to_thread(self._trail.write, entry)
        except (OSError, RuntimeError):  # no space, or no thread, to be had
            log.exception("the audit cannot be written", **entry.model_dump(mode="json"))


def _entry(scope: Scope, status: int) -> Entry:
    state: dict[str, Any] = scope["state"]
    caller = state.get("caller")
    by = BETWEEN_SERVICES if caller is None and scope["path"] in PATHS else None
    return Entry(
        at=datetime.now(UTC),
        by=caller.name if caller else by,
        team=caller.team if caller else None,
        role=caller.role if caller else None,
        call=f"{scope['method']} {scope['path'][:LONGEST_PATH]}",
        status=status,
        run_id=state.get("audit_run_id") or scope.get("path_params", {}).get("run_id"),
        about=state.get("audit_about"),
        address=(scope.get("client") or [None])[0],
    )
