"""The application of a service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from trainyard import __version__
from trainyard.api import (
    audit,
    catalogue,
    health,
    openapi,
    peers,
    problems,
    registered_models,
    runs,
    yard,
)
from trainyard.api.auth import DOCS_ASSETS, RequireToken
from trainyard.api.dependencies import Context
from trainyard.api.hosts import KnownHosts
from trainyard.api.pace import Pace
from trainyard.api.polls import Polls
from trainyard.api.roles import check_role
from trainyard.api.tracing import Traced
from trainyard.peers.services import peer_secret
from trainyard.people.audit import AuditTrail
from trainyard.people.known import KnownPeople
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.supervisor.protocol import Runs

ROUTERS = (
    runs.router,
    yard.router,
    registered_models.router,
    catalogue.router,
    health.router,
    audit.router,
    peers.router,
)


def create_app(
    supervisor: Runs, service: Service, settings: Settings, *, stopping: asyncio.Event | None = None
) -> FastAPI:
    """The FastAPI application over this supervisor, which it starts and stops.

    When `stopping` is set, calls that wait for a run (`?wait=`, followed logs) are answered at once.
    """
    trail = AuditTrail(settings.audit_dir(settings.instance or service.name))
    context = Context(supervisor, service, settings, stopping or asyncio.Event(), trail)
    app = FastAPIOffline(
        title=f"Trainyard {service.name}",
        version=__version__,
        description="Training as a service: one call trains a model and leaves it in MLflow.",
        lifespan=_lifespan,
        dependencies=[Depends(check_role)],
        redoc_url=None,
        static_url=DOCS_ASSETS,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app, [*app.routes, *(route for router in ROUTERS for route in router.routes)])
    app.add_middleware(Polls, context=context)
    _guard(app, settings, trail)

    def describe() -> dict[str, Any]:
        return openapi.describe(app, context)

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _guard(app: FastAPI, settings: Settings, trail: AuditTrail) -> None:
    """What a call passes before its route: the one that is added last is passed first."""
    app.add_middleware(Traced)
    app.add_middleware(audit.Audited, trail=trail)
    if settings.changes_a_minute:
        app.add_middleware(Pace, a_minute=settings.changes_a_minute)
    app.add_middleware(KnownHosts, own=settings.own_hosts, allowed=settings.allowed_hosts)
    if settings.closed:
        app.add_middleware(
            RequireToken,
            people=KnownPeople(settings.secret, settings.tokens_file),
            between_services=peer_secret(settings.shared_secret),
        )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    await context.supervisor.start()
    try:
        yield
    finally:
        await context.supervisor.stop()
