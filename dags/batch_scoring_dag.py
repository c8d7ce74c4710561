"""Scores rows with the champion, each time that a pipeline made a new one.

The boosting service scores: Airflow only calls and waits, and no model code runs in its workers. The predictions are
`predictions.parquet` of an MLflow run of the experiment `batch_scoring`.
"""

from airflow.sdk import DAG, Param
from trainyard.airflow import ScoreOperator, champion_asset
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
        "data": Param(
            {"source": "builtin", "name": "breast_cancer"},
            type="object",
            description='The rows, such as {"source": "file", "uri": "customers.parquet"} below a data root of the service',
        ),
        "keep": Param(
            [],
            type="array",
            items={"type": "string"},
            description="Columns to write beside the predictions, such as the customer's number",
        ),
    },
) as dag:
    ScoreOperator(
        task_id="score",
        conn_id="trainyard_boosting",
        request={
            "model_uri": f"models:/{REGISTERED}@champion",
            "data": dag.param("data"),
            "keep": dag.param("keep"),
            "experiment": "batch_scoring",
        },
    )
