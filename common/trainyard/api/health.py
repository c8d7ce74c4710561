"""The routes for operators: is it alive, is it ready, which versions, how much work."""

import platform
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from trainyard import __version__
from trainyard.api.dependencies import TheContext, TheSupervisor
from trainyard.api.metrics import exposition
from trainyard.api.problems import RETRY_AFTER, Responses, documented
from trainyard.contract import Wire
from trainyard.errors import Unavailable

router = APIRouter(tags=["operations"])


class Health(Wire):
    """The service is alive."""

    status: str = "alive"


class Readiness(Wire):
    """Whether the service would accept a training now, and if not, why."""

    ready: bool
    problems: dict[str, str] = Field(description="Each part that is not ready, and what is wrong")
    broken_models: dict[str, str] = Field(description="Model files that did not load, and why")


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
async def get_health() -> Health:
    """Alive. The one call without a token."""
    return Health()


@router.get(
    "/readyz",
    response_class=Response,
    responses=READY | documented(401),
)
async def get_readiness(supervisor: TheSupervisor) -> Response:
    """Ready to train: MLflow answers, the fork server is warm, the disk has room."""
    problems = await supervisor.problems()
    body = Readiness(
        ready=not problems, problems=problems, broken_models=dict(supervisor.broken_models)
    )
    status, headers = (503, {"Retry-After": str(LOOK_AGAIN_SECONDS)}) if problems else (200, None)
    return Response(body.model_dump_json(), status, headers, "application/json")


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
