"""The routes for operators: alive, ready, which versions, how much work."""

import platform
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field
from starlette.responses import Response

from trainyard import __version__
from trainyard.api.dependencies import TheHouse, TheSupervisor
from trainyard.api.metrics import registry_of
from trainyard.api.problems import Responses, documented
from trainyard.contract import Wire

router = APIRouter(tags=["operations"])


class Health(Wire):
    """The service is alive."""

    status: str = "alive"


class Readiness(Wire):
    """Whether a submit would be taken, and what is in its way."""

    ready: bool
    problems: dict[str, str] = Field(description="Each part that is not ready, and what is wrong")
    broken_models: dict[str, str] = Field(description="Model files that did not load, and why")


class Versions(Wire):
    """The versions of everything that decides what a run does."""

    service: str
    instance: str
    trainyard: str
    git_commit: str
    python: str
    mlflow: str
    frameworks: dict[str, str]


READY: Responses = {
    200: {"model": Readiness, "description": "Ready"},
    503: {"model": Readiness, "description": "Not ready; `problems` says why"},
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
    return Response(body.model_dump_json(), 503 if problems else 200, media_type="application/json")


@router.get("/version", responses=documented(401))
async def get_version(house: TheHouse) -> Versions:
    """The versions of the service, Python, MLflow and the frameworks."""
    models = house.supervisor.models.values()
    return Versions(
        service=house.service.name,
        instance=house.settings.instance or house.service.name,
        trainyard=__version__,
        git_commit=house.settings.git_commit,
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
    """Runs queued, running and ended, and the process itself, for Prometheus."""
    content = generate_latest(registry_of(supervisor))
    return Response(content, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _mlflow_version() -> str:
    for distribution in ("mlflow", "mlflow-skinny"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "not installed"
