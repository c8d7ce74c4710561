"""Scores rows with the champion, each time that a pipeline made a new one.

The model runs in an environment made of its own pinned requirements, so that Airflow's image needs no framework.
The predictions are an MLflow run of the experiment `batch_scoring`. TRAINYARD_VENVS names a folder that keeps the
environment for the next time.
"""

import os
from typing import Any

from airflow.sdk import DAG, Param, task
from trainyard.airflow import champion, champion_asset
from trainyard.airflow.pipeline import DEFAULT_ARGS

REGISTERED = "xgboost-classification"

with DAG(
    "batch_scoring",
    schedule=[champion_asset(REGISTERED)],
    default_args=dict(DEFAULT_ARGS),
    max_active_runs=1,
    description=f"Score rows with the champion of {REGISTERED}",
    tags=["ml", "scoring", "mlflow"],
    doc_md=__doc__,
    params={
        "rows": Param(
            None, type=["null", "string"],
            description="A CSV file with the model's columns: a path of the worker's, or an address. Nothing: the rows that the model keeps as its example",
        ),
    },
) as dag:

    @task.virtualenv(
        requirements="{{ ti.xcom_pull(task_ids='champion')['requirements'] }}",
        system_site_packages=False,
        venv_cache_path=os.environ.get("TRAINYARD_VENVS"),
    )
    def score(model: dict[str, Any], rows: str, token: str) -> dict[str, Any]:
        """Predict every row, and keep the predictions in MLflow."""
        import os

        os.environ["MLFLOW_TRACKING_URI"] = model["tracking_uri"]
        if token:
            os.environ["MLFLOW_TRACKING_TOKEN"] = token
        import mlflow
        import pandas as pd

        loaded = mlflow.pyfunc.load_model(model["model_uri"])
        table = pd.read_csv(rows) if rows else loaded.input_example
        scored = table.assign(prediction=loaded.predict(table))
        mlflow.set_experiment("batch_scoring")
        with mlflow.start_run(run_name=f"{model['name']} {model['version']}") as run:
            mlflow.log_params({"model_uri": model["model_uri"], "rows": rows or "the model's example"})
            mlflow.log_metric("rows", len(scored))
            mlflow.log_text(scored.to_csv(index=False), "predictions.csv")
        return {"run_id": run.info.run_id, "rows": len(scored), "version": model["version"]}

    score(
        task(champion)(REGISTERED),
        rows="{{ params.rows or '' }}",
        token="{{ conn.trainyard_mlflow.password or '' }}",  # noqa: S106 - Airflow's connection has it
    )
