"""A pipeline on a table that grows, tested on its newest rows."""

from airflow.sdk import Param
from trainyard.airflow import training_pipeline

dag = training_pipeline(
    "by_quarters",
    description="Train on what there is by now",
    service="boosting",
    model="xgboost_classifier",
    data={"source": "file", "uri": "quarters.csv", "target": "bought"},
    params={
        "n_estimators": Param(30, type="integer", minimum=1, description="Boosting rounds"),
        "max_depth": Param(3, type="integer", minimum=1, description="Of each tree"),
    },
    split={"by": "time", "column": "when", "test_size": 0.25},
    registered="by-quarters",
    metric="test_roc_auc",
    minimum=0.0,
    tags=["test"],
    schedule=None,
)
