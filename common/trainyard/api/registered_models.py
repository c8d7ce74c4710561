"""The route of what is asked of a registered model, and of no run."""

from fastapi import APIRouter, Request

from trainyard.api.audit import note
from trainyard.api.body import read_word
from trainyard.api.dependencies import TheCaller, TheContext
from trainyard.api.problems import documented
from trainyard.api.roles import signed
from trainyard.contract import ModelName, Registered, Rollback

router = APIRouter(tags=["promotion"])


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
