"""XGBoost, daily: trained in the boosting service, registered, and promoted when it beats the champion."""

from airflow.sdk import Param
from trainyard.airflow import training_pipeline

dag = training_pipeline(
    "xgboost_classification_pipeline",
    description="Train, check and promote an XGBoost classifier",
    service="boosting",
    model="xgboost_classifier",
    data={"source": "builtin", "name": "breast_cancer"},
    params={
        "n_estimators": Param(
            300, type="integer", minimum=1, maximum=100_000, description="Boosting rounds"
        ),
        "max_depth": Param(
            6, type="integer", minimum=0, maximum=64, description="Depth of a tree; 0 for no limit"
        ),
        "learning_rate": Param(
            0.1, type="number", exclusiveMinimum=0, maximum=1, description="Shrinkage of each round"
        ),
        "subsample": Param(
            1.0, type="number", exclusiveMinimum=0, maximum=1, description="Share of rows a round"
        ),
        "early_stopping_rounds": Param(
            20,
            type=["null", "integer"],
            minimum=1,
            description="Stop after so many rounds without a better validation metric",
        ),
    },
    registered="xgboost-classification",
    metric="test_roc_auc",
    minimum=0.7,
    tags=["ml", "xgboost", "mlflow"],
)
