"""What the fork server imports before it forks, so that no run has to."""

import importlib
import importlib.util
from contextlib import suppress
from pathlib import Path

import mlflow
from mlflow.tracking._model_registry.client import ModelRegistryClient
from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

from trainyard.contract import ModelInfo
from trainyard.launcher.load_limit import limited
from trainyard.trainer import Catalogue, describe, load_catalogue
from trainyard.worker.evaluation import METRICS
from trainyard.worker.figures import draw_for_nobody

NOWHERE = "http://127.0.0.1:9"
"""An address of an MLflow, to which nothing is sent."""
AHEAD = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "mlflow.data",
    "mlflow.pyfunc.scoring_server",
    "mlflow.sklearn",
    "mlflow.system_metrics.system_metrics_monitor",
    "mlflow.tracking.request_header.registry",
    "pyarrow.csv",
    "pyarrow.dataset",
    "sklearn.datasets",
    "sklearn.metrics",
    "sklearn.model_selection",
    "trainyard.worker.rank_run",
    "trainyard.worker.scoring_run",
    "trainyard.worker.search.searching",
    "trainyard.worker.training_run",
)


def get_warm(package: str, models_path: str, tracking_uri: str) -> Catalogue:
    """Import every model, their frameworks, and what runs need besides."""
    catalogue = load_catalogue(package, Path(models_path) if models_path else None, limit=limited)
    for name in (*AHEAD, *_flavors(catalogue)):
        importlib.import_module(name)
    _have_made_at_first_use()
    # An address, not yet a connection: what setting it imports takes 30 ms.
    mlflow.set_tracking_uri(tracking_uri)
    return catalogue


def _have_made_at_first_use() -> None:
    """What libraries make when they are first used, and keep."""
    draw_for_nobody()
    # MLflow goes through the files of all packages to log a model, and to ask a registry.
    warn_dependency_requirement_mismatches(["mlflow-skinny"])
    ModelRegistryClient(NOWHERE, NOWHERE)
    with suppress(ImportError):  # where there is no git
        importlib.import_module("git")


def described(catalogue: Catalogue) -> tuple[Catalogue, tuple[ModelInfo, ...]]:
    """What each model is. One that cannot say it is left out and named among the broken."""
    trainers, broken, models = dict(catalogue.trainers), dict(catalogue.broken), []
    for name, trainer in catalogue.trainers.items():
        try:
            with limited():
                models.append(_with_metrics(describe(trainer)))
        except BaseException as error:  # noqa: BLE001 - a team's model may raise anything, the others are still served
            del trainers[name]
            broken[f"{type(trainer).__module__}.{name}"] = f"{type(error).__name__}: {error}"
    return Catalogue(trainers, broken), tuple(models)


def _with_metrics(info: ModelInfo) -> ModelInfo:
    names = [f"test_{name}" for name in METRICS[info.task]]
    return info.model_copy(update={"metrics": names})


def _flavors(catalogue: Catalogue) -> set[str]:
    """The MLflow modules of the frameworks that are imported."""
    frameworks = {trainer.framework.removesuffix("-cpu") for trainer in catalogue.trainers.values()}
    return {f"mlflow.{name}" for name in frameworks if importlib.util.find_spec(f"mlflow.{name}")}
