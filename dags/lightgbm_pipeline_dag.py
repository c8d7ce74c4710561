"""LightGBM, daily: trained in the boosting service, registered, and promoted when it beats the champion."""

from airflow.sdk import Param
from trainyard.airflow import training_pipeline

dag = training_pipeline(
    "lightgbm_classification_pipeline",
    description="Train, check and promote a LightGBM classifier",
    service="boosting",
    model="lightgbm_classifier",
    data={"source": "builtin", "name": "breast_cancer"},
    params={
        "n_estimators": Param(
            300, type="integer", minimum=1, maximum=100_000, description="Boosting rounds"
        ),
        "num_leaves": Param(
            31, type="integer", minimum=2, maximum=131_072, description="Leaves of a tree"
        ),
        "learning_rate": Param(
            0.1,
            type="number",
            exclusiveMinimum=0,
            maximum=10,
            description="Shrinkage of each round",
        ),
        "min_child_samples": Param(
            20, type="integer", minimum=0, maximum=1_000_000, description="Least rows in a leaf"
        ),
        "early_stopping_rounds": Param(
            20,
            type=["null", "integer"],
            minimum=1,
            description="Stop after so many rounds without a better validation metric",
        ),
    },
    registered="lightgbm-classification",
    metric="test_roc_auc",
    minimum=0.7,
    tags=["ml", "lightgbm", "mlflow"],
)
