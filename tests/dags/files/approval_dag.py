"""A pipeline in which a person approves or rejects before the service is asked to promote."""

from airflow.sdk import Param
from trainyard.airflow import training_pipeline

dag = training_pipeline(
    "approved_by_a_person",
    description="Train, and ask a person",
    service="boosting",
    model="xgboost_classifier",
    data={"source": "builtin", "name": "breast_cancer"},
    params={"n_estimators": Param(2, type="integer", minimum=1, description="Boosting rounds")},
    registered="approved-by-a-person",
    metric="test_roc_auc",
    minimum=0.0,
    tags=["test"],
    approval=True,
    rule={"metric": "test_log_loss", "confidence": 0.6},
    schedule=None,
)
