"""The model that a run logs, as MLflow has it while it is made and afterwards."""

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelStatus


def finished_model(client: MlflowClient, *, experiment_id: str, run_id: str) -> LoggedModel | None:
    """The run's logged model. One that was begun and not finished, which MLflow would show for ever, is deleted."""
    finished = None
    for each in client.search_logged_models(
        [experiment_id], filter_string=f"source_run_id = '{run_id}'"
    ):
        if each.status == LoggedModelStatus.READY:
            finished = finished or each
        else:
            client.delete_logged_model(each.model_id)
    return finished
