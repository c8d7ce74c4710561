"""A training with nothing but Airflow's own HTTP operators: submit, wait on `/outcome`, look at the run.

Twice: `deferrable` holds no worker slot while it waits, `blocking` waits in the worker.
"""

import json
from datetime import timedelta

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG, TaskGroup

REQUEST = {
    "model": "xgboost_classifier",
    "params": {"n_estimators": 50},
    "data": {"source": "builtin", "name": "breast_cancer"},
    "experiment": "stock_http_operators",
}
SERVICE = "trainyard_boosting"
TOKEN = {"Authorization": f"Bearer {{{{ conn.{SERVICE}.password }}}}"}

with DAG(
    "stock_http_operators",
    schedule=None,
    default_args={"owner": "airflow", "retries": 1, "retry_delay": timedelta(seconds=30)},
    description="Train with HttpOperator and HttpSensor alone",
    tags=["ml", "xgboost", "mlflow"],
    doc_md=__doc__,
) as dag:
    for name, deferrable in {"deferrable": True, "blocking": False}.items():
        with TaskGroup(name):
            submit = HttpOperator(
                task_id="submit",
                http_conn_id=SERVICE,
                endpoint="train",
                method="POST",
                # The same key in every try: a retry finds the run rather than training a second one.
                headers={
                    "Content-Type": "application/json",
                    "Idempotency-Key": "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}",
                    **TOKEN,
                },
                data=json.dumps(REQUEST),
                response_filter=lambda response: response.json()["run_id"],
                deferrable=deferrable,
            )
            # Not there (404) until the run ended, and then there, however it ended.
            ended = HttpSensor(
                task_id="ended",
                http_conn_id=SERVICE,
                endpoint=f"train/{submit.output}/outcome",
                headers=TOKEN,
                poke_interval=5,
                timeout=7200,
                deferrable=deferrable,
            )
            # Answered at once, so never deferred: Airflow 3.3 may fail a task whose wait is over as soon as it began.
            finished = HttpOperator(
                task_id="finished",
                http_conn_id=SERVICE,
                endpoint=f"train/{submit.output}",
                method="GET",
                headers=TOKEN,
                response_check=lambda response: response.json()["status"] == "FINISHED",
                response_filter=lambda response: response.json()["model_uri"],
                retries=0,
            )
            submit >> ended >> finished
