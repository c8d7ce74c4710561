"""XGBoost and LightGBM in parallel on one table; the better one is promoted if it beats the champion."""

from typing import Any

from airflow.sdk import DAG, Param, task
from trainyard.airflow import PromoteOperator, TrainOperator, champion_asset
from trainyard.airflow.pipeline import DEFAULT_ARGS

REGISTERED = "best-classifier"
METRIC = "test_roc_auc"
CANDIDATES = {"xgboost": "xgboost_classifier", "lightgbm": "lightgbm_classifier"}

with DAG(
    "compare_models",
    schedule=None,
    default_args=dict(DEFAULT_ARGS),
    description="Train XGBoost and LightGBM on one table and promote the winner",
    tags=["ml", "xgboost", "lightgbm", "mlflow"],
    doc_md=__doc__,
    params={
        "data": Param(
            {"source": "builtin", "name": "breast_cancer"},
            type="object",
            description="The data, as in a request's `data`",
        ),
        "n_estimators": Param(
            300, type="integer", minimum=1, maximum=100_000, description="Boosting rounds of each"
        ),
        "learning_rate": Param(
            0.1, type="number", exclusiveMinimum=0, maximum=1, description="Shrinkage of each round"
        ),
    },
) as dag:
    trained = {
        name: TrainOperator(
            task_id=name,
            conn_id="trainyard_boosting",
            request={
                "model": model,
                "params": {each: dag.param(each) for each in ("n_estimators", "learning_rate")},
                "data": dag.param("data"),
                "experiment": "compare_models",
                "register": {
                    "name": REGISTERED,
                    "promote": {"metric": METRIC, "when": "asked"},
                },
            },
        )
        for name, model in CANDIDATES.items()
    }

    @task
    def winner(runs: dict[str, dict[str, Any]]) -> Any:
        """The run with the best metric."""
        name, run = max(runs.items(), key=lambda each: each[1]["metrics"][METRIC])
        print({each: found["metrics"][METRIC] for each, found in runs.items()}, name)  # noqa: T201 - the task's log
        return run["run_id"]

    PromoteOperator(
        task_id="promote",
        run_id=winner({name: train.output for name, train in trained.items()}),
        conn_id="trainyard_boosting",
        outlets=[champion_asset(REGISTERED)],
    )
