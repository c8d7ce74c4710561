"""The application of a service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from trainyard import __version__
from trainyard.api import catalogue, health, openapi, peers, problems, registered_models, runs
from trainyard.api.auth import RequireToken
from trainyard.api.dependencies import Context
from trainyard.service import Service
from trainyard.settings import Settings
from trainyard.supervisor.protocol import Runs


def create_app(
    supervisor: Runs, service: Service, settings: Settings, *, stopping: asyncio.Event | None = None
) -> FastAPI:
    """The FastAPI application over this supervisor, which it starts and stops.

    When `stopping` is set, calls that wait for a run (`?wait=`, followed logs) are answered at once.
    """
    context = Context(supervisor, service, settings, stopping or asyncio.Event())
    app = FastAPI(
        title=f"Trainyard {service.name}",
        version=__version__,
        description="Training as a service: one call trains a model and leaves it in MLflow.",
        lifespan=_lifespan,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    routers = (
        runs.router,
        registered_models.router,
        catalogue.router,
        health.router,
        peers.router,
    )
    for router in routers:
        app.include_router(router)
    problems.install(app, [*app.routes, *(route for router in routers for route in router.routes)])
    if settings.secret:
        app.add_middleware(RequireToken, secret=settings.secret)

    def describe() -> dict[str, Any]:
        return openapi.describe(app, context)

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    await context.supervisor.start()
    try:
        yield
    finally:
        await context.supervisor.stop()
