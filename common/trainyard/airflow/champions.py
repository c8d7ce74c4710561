"""The champion of a registered model, for tasks that score with it."""

from typing import TypedDict

from trainyard.airflow.connection import find
from trainyard.airflow.mlflow_api import Registry


class Champion(TypedDict):
    """A version, and what a process needs that loads it with `mlflow.pyfunc.load_model`."""

    name: str
    version: str
    model_uri: str
    tracking_uri: str
    requirements: str
    """Its pinned requirements, a line each, as MLflow keeps them beside the model."""


def champion(registered: str, *, alias: str = "champion", conn_id: str = "trainyard_mlflow") -> Champion:
    """The version of `registered` that holds `alias`. Raises `MlflowRefused`, also when none does."""
    mlflow = find(conn_id)
    with Registry(mlflow, registered) as registry:
        version = registry.required_holder(alias)
        return Champion(
            name=registered, version=version, model_uri=f"models:/{registered}/{version}", tracking_uri=mlflow.url,
            requirements=registry.requirements(version),
        )
