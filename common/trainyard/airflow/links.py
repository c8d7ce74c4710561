"""The buttons of a training task in Airflow's UI."""

from typing import Any, ClassVar
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from trainyard.contract import Run


def run_url(run: Run) -> str:
    """The run in MLflow's UI."""
    return run.links.mlflow


def model_url(run: Run) -> str:
    """The version that the run registered, in MLflow's UI; empty when it registered none."""
    if run.registered is None:
        return ""
    home, found, _ = run.links.mlflow.partition("/#/")
    return (
        f"{home}/#/models/{quote(run.registered.name, safe='')}/versions/{run.registered.version}"
        if found
        else ""
    )


class MlflowRunLink(BaseOperatorLink):
    """The run in MLflow; there as soon as the run was accepted."""

    name: ClassVar[str] = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Asked for in the task's own process, after each part of it; Airflow keeps the answer."""
        run = getattr(operator, "trained", None)
        return run_url(run) if run else ""


class RegisteredModelLink(BaseOperatorLink):
    """The version that the run registered, in MLflow."""

    name: ClassVar[str] = "Registered model"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Asked for in the task's own process, after each part of it; Airflow keeps the answer."""
        run = getattr(operator, "trained", None)
        return model_url(run) if run else ""
