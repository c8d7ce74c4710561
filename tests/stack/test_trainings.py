"""A training over HTTP, in each trainer, and all of it in MLflow afterwards."""

import uuid
from pathlib import Path
from typing import Any

from airflow_api import AirflowApi
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from trainyard.client import TrainyardClient

REQUESTS: dict[str, dict[str, Any]] = {
    "boosting": {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 30},
        "data": {"source": "builtin", "name": "breast_cancer"},
    },
    "tensorflow": {
        "model": "mlp",
        "params": {"epochs": 15},
        "data": {"source": "builtin", "name": "digits"},
    },
    "pytorch": {
        "model": "mlp",
        "params": {"epochs": 15},
        "data": {"source": "builtin", "name": "digits"},
    },
}
PACKAGES = {"boosting": "xgboost", "tensorflow": "keras", "pytorch": "torch"}


def test_a_training_ends_in_a_registered_version_with_its_alias(
    service: str, trainer: TrainyardClient, mlflow: MlflowClient, tmp_path: Path
) -> None:
    name = f"stack-{service}-{uuid.uuid4().hex[:8]}"
    wanted = REQUESTS[service] | {
        "experiment": "stack",
        "register": {"name": name, "alias": "challenger"},
    }
    run = trainer.submit(wanted, wait_seconds=60)
    if not run.status.ended:
        run = trainer.wait(run.run_id, timeout_seconds=120)
    assert run.status == "FINISHED", run.message
    kept = mlflow.get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.metrics["test_accuracy"] == run.metrics["test_accuracy"] > 0.9
    total = next(iter(wanted["params"].values()))
    assert [each.step for each in mlflow.get_metric_history(run.run_id, "train_log_loss")] == list(
        range(1, total + 1)
    )
    version = mlflow.get_model_version_by_alias(name, "challenger")
    assert (version.version, version.run_id) == (run.registered.version, run.run_id)
    assert "training.log" in {each.path for each in mlflow.list_artifacts(run.run_id)}
    # The files themselves, through the server: nobody but it reaches the volume.
    folder = Path(download_artifacts(run.model_uri, dst_path=str(tmp_path)))
    requirements = (folder / "requirements.txt").read_text()
    assert PACKAGES[service] in requirements
    assert "trainyard" not in requirements
    assert any(file.stat().st_size > 10_000 for file in folder.rglob("*"))


def test_airflow_has_read_every_dag_file_without_an_error(airflow: AirflowApi) -> None:
    assert airflow.ask("GET", "/importErrors")["import_errors"] == []
    assert airflow.dag_ids()
