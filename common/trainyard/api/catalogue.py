"""The routes of what can be trained, and on what."""

import asyncio

from fastapi import APIRouter, Request

from trainyard.api import audit
from trainyard.api.body import read_preview_request
from trainyard.api.dependencies import TheContext, TheSupervisor
from trainyard.api.problems import documented
from trainyard.contract import DataPreview, DatasetInfo, ModelInfo
from trainyard.errors import Unavailable, UnknownModel
from trainyard.field_errors import shown
from trainyard.suggestions import suggestion

router = APIRouter(tags=["catalogue"])


@router.get("/models", responses=documented(401))
async def list_models(supervisor: TheSupervisor) -> list[ModelInfo]:
    """The models this service trains; none until it is ready."""
    return list(supervisor.models.values())


@router.get("/models/{model}", responses=documented(401, 404, 422, 503))
async def get_model(model: str, supervisor: TheSupervisor) -> ModelInfo:
    """A model: its task, framework, params with their schema and defaults, and an example."""
    models = supervisor.models
    if not models:
        raise Unavailable("this service has no models loaded yet; /readyz says what it waits for")
    if model not in models:
        hint = suggestion(model, models, otherwise="it trains")
        raise UnknownModel(f"this service does not train {shown(model)}; {hint}")
    return models[model]


@router.get("/datasets", responses=documented(401, 503))
async def list_datasets(context: TheContext) -> list[DatasetInfo]:
    """The builtin data sets, and the files below the data roots."""
    from trainyard.datasets.listing import (
        listing,  # brings scikit-learn, which starting need not wait for
    )

    try:
        return list(await asyncio.to_thread(listing, context.settings.data_access))
    except OSError as error:
        raise Unavailable(f"the data roots cannot be read: {error}") from error


@router.post("/datasets/preview", responses=documented(400, 401, 413, 422, 429, 503))
async def preview_data(request: Request, context: TheContext) -> DataPreview:
    """Look at data before anything is trained on it: its columns, their types, and what a person should know of them."""
    wanted = await read_preview_request(request, context.settings.max_body_bytes)
    audit.note(request, about=f"a look at {wanted.data.source} data")
    return await context.supervisor.preview(wanted)
