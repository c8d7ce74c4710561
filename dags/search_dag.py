"""XGBoost whose params are found: one task searches, trains with the best, registers, and promotes what beats the champion."""

from airflow.sdk import DAG, Param, task
from trainyard.airflow import TrainOperator
from trainyard.airflow.pipeline import DEFAULT_ARGS

with DAG(
    "search",
    schedule=None,
    default_args=dict(DEFAULT_ARGS),
    description="Search the params of an XGBoost classifier, train with the best, promote it",
    tags=["ml", "xgboost", "mlflow"],
    doc_md=__doc__,
    params={
        "data": Param(
            {"source": "builtin", "name": "breast_cancer"},
            type="object",
            description="The data, as in a request's `data`",
        ),
        "trials": Param(
            30, type="integer", minimum=1, maximum=10_000, description="Trainings that are tried"
        ),
    },
) as dag:
    search = TrainOperator(
        task_id="search",
        conn_id="trainyard_boosting",
        request={
            "model": "xgboost_classifier",
            "data": dag.param("data"),
            "experiment": dag.dag_id,
            "search": {"trials": dag.param("trials"), "metric": "validation_roc_auc"},
            "register": {"name": "searched-classifier", "promote": {"metric": "test_roc_auc"}},
            "max_attempts": 3,
        },
    )

    @task
    def say(best_params: dict[str, object], trials: int) -> None:
        """What was found, for the task's log."""
        print(f"best of {trials} trials: {best_params}")  # noqa: T201 - the task's log

    say(search.output["best_params"], search.output["trials"])
