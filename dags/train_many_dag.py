"""One training for each data set and each depth of the trees, by task mapping; the service takes them in turn."""

from itertools import product
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from trainyard.airflow import TrainOperator
from trainyard.airflow.pipeline import DEFAULT_ARGS

with DAG(
    "train_many",
    schedule=None,
    default_args=dict(DEFAULT_ARGS),
    description="Train on several data sets with several params at once",
    tags=["ml", "xgboost", "mlflow"],
    doc_md=__doc__,
    params={
        "datasets": Param(
            ["breast_cancer", "wine", "iris"],
            type="array",
            items={"type": "string"},
            minItems=1,
            maxItems=20,
            description="Builtin data sets, one a line",
        ),
        "max_depths": Param(
            [3, 6],
            type="array",
            items={"type": "integer", "minimum": 0, "maximum": 64},
            minItems=1,
            maxItems=20,
            description="Depths of the trees",
        ),
    },
) as dag:

    @task
    def requests() -> list[dict[str, Any]]:
        """A request for each pair."""
        params = get_current_context()["params"]
        return [
            {
                "model": "xgboost_classifier",
                "params": {"n_estimators": 50, "max_depth": depth},
                "data": {"source": "builtin", "name": name},
                "experiment": "train_many",
                "run_name": f"{name} depth {depth}",
            }
            for name, depth in product(params["datasets"], params["max_depths"])
        ]

    @task
    def summary(runs: list[dict[str, Any]]) -> dict[str, float]:
        """The accuracy of each run."""
        return {run["run_id"]: run["metrics"]["test_accuracy"] for run in runs}

    train = TrainOperator.partial(task_id="train", conn_id="trainyard_boosting").expand(
        request=requests()
    )
    summary(train.output)
