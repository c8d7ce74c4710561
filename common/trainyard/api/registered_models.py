"""The routes of what is asked of a registered model, and of no run."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from trainyard.api.audit import note
from trainyard.api.body import read_word
from trainyard.api.dependencies import TheCaller, TheContext, TheSupervisor
from trainyard.api.problems import documented
from trainyard.api.roles import signed
from trainyard.contract import (
    ModelName,
    ModelVersionInfo,
    Registered,
    RegisteredModelPage,
    Rollback,
)

router = APIRouter(tags=["promotion"])


@router.get("/registered-models", responses=documented(401, 422, 503))
async def list_registered_models(
    supervisor: TheSupervisor, cursor: Annotated[str | None, Query(max_length=2000)] = None
) -> RegisteredModelPage:
    """A page of MLflow's registered models, by name, with who holds their aliases."""
    return await supervisor.registered_models(cursor)


@router.get("/registered-models/{name}/versions", responses=documented(401, 404, 422, 503))
async def list_versions(name: ModelName, supervisor: TheSupervisor) -> list[ModelVersionInfo]:
    """The 50 newest versions of a registered model, and what was decided about each."""
    return await supervisor.model_versions(name)


@router.post(
    "/registered-models/{name}/rollback",
    responses=documented(400, 401, 403, 409, 413, 422, 429, 503),
)
async def roll_back(
    name: ModelName, request: Request, context: TheContext, caller: TheCaller
) -> Registered:
    """Give an alias back to the version that held it before; again, to the one before that."""
    word = await read_word(request, context.settings.max_body_bytes, Rollback)
    note(request, about=f"asked to roll {word.alias!r} of {name!r} back")
    registered = await context.supervisor.rollback(name, signed(word, caller))
    note(request, about=registered.decision)
    return registered
