"""The routes of what can be trained, and on what."""

import asyncio
import difflib

from fastapi import APIRouter

from trainyard.api.dependencies import TheHouse, TheSupervisor
from trainyard.api.problems import documented
from trainyard.contract import DatasetInfo, ModelInfo
from trainyard.errors import Unavailable, UnknownModel

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
        near = difflib.get_close_matches(model, models, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it trains {', '.join(models)}"
        raise UnknownModel(f"this service does not train {model[:200]!r}; {hint}")
    return models[model]


@router.get("/datasets", responses=documented(401, 503))
async def list_datasets(house: TheHouse) -> list[DatasetInfo]:
    """The builtin data sets, and the files below the data roots."""
    from trainyard.datasets import listing  # brings scikit-learn, which starting need not wait for

    try:
        return list(await asyncio.to_thread(listing, house.settings.data_access))
    except OSError as error:
        raise Unavailable(f"the data roots cannot be read: {error}") from error
