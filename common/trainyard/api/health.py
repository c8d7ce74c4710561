"""The routes for operators: is it alive, is it ready, which versions, how much work."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from trainyard import __version__
from trainyard.api.dependencies import TheCaller, TheContext, TheSupervisor
from trainyard.api.metrics import exposition
from trainyard.api.problems import RETRY_AFTER, Responses, documented
from trainyard.contract import Capacity, Month, UsageReport, Wire
from trainyard.errors import Unavailable

router = APIRouter(tags=["operations"])


class Health(Wire):
    """The service is alive."""

    status: str = "alive"
    loaded: bool = Field(description="Whether the models are there that it is to train")


class Readiness(Wire):
    """Whether the service would accept a training now, and if not, why."""

    ready: bool
    problems: dict[str, str] = Field(
        description="Each part that is not ready, and what is wrong; not told where a token is asked for and none was shown"
    )
    broken_models: dict[str, str] = Field(
        description="Model files that did not load, and why; likewise"
    )


class Versions(Wire):
    """The versions of everything that a run's result depends on."""

    service: str
    instance: str
    trainyard: str
    git_commit: str
    python: str
    mlflow: str
    frameworks: dict[str, str]


LOOK_AGAIN_SECONDS = Unavailable.retry_after_seconds
READY: Responses = {
    200: {"model": Readiness, "description": "Ready"},
    503: {
        "model": Readiness,
        "description": "Not ready; `problems` says why",
        "headers": RETRY_AFTER,
    },
}
METRICS: Responses = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The metrics"}
}


@router.get("/healthz")
async def get_health(supervisor: TheSupervisor) -> Health:
    """Alive, whatever else is away. Needs no token."""
    return Health(loaded=bool(supervisor.models))


@router.get(
    "/readyz",
    response_class=Response,
    responses=READY | documented(401),
)
async def get_readiness(context: TheContext, caller: TheCaller) -> Response:
    """Ready to train: MLflow answers, the fork server is warm, the disk has room. Needs a token only to say what is wrong."""
    problems = await context.supervisor.problems()
    is_told = caller is not None or not context.settings.closed
    body = Readiness(
        ready=not problems,
        problems=problems if is_told else {},
        broken_models=dict(context.supervisor.broken_models) if is_told else {},
    )
    status, headers = (503, {"Retry-After": str(LOOK_AGAIN_SECONDS)}) if problems else (200, None)
    return Response(body.model_dump_json(), status, headers, "application/json")


@router.get("/capacity", responses=documented(401))
async def get_capacity(supervisor: TheSupervisor) -> Capacity:
    """What there is of slots, CPUs, GPUs and memory, which runs have it, and which wait for it."""
    return supervisor.capacity()


@router.get("/usage", responses=documented(401, 422, 503))
async def get_usage(
    supervisor: TheSupervisor,
    month: Annotated[Month | None, Query(description="Of this month alone, as in 2026-11")] = None,
) -> UsageReport:
    """What each team used in each month: slots, processors and GPUs, by runs that have ended."""
    return await supervisor.usage(month)


@router.get("/version", responses=documented(401))
async def get_version(context: TheContext) -> Versions:
    """The versions of the service, Python, MLflow and the frameworks."""
    models = context.supervisor.models.values()
    return Versions(
        service=context.service.name,
        instance=context.settings.instance or context.service.name,
        trainyard=__version__,
        git_commit=context.settings.git_commit,
        python=platform.python_version(),
        mlflow=_mlflow_version(),
        frameworks={model.framework: model.framework_version for model in models},
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses=METRICS | documented(401),
)
async def get_metrics(supervisor: TheSupervisor) -> Response:
    """Runs queued, running and ended, how long they waited and took, and the process itself, for Prometheus."""
    return exposition(supervisor)


def _mlflow_version() -> str:
    for distribution in ("mlflow", "mlflow-skinny"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "not installed"
