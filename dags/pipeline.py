"""Builds a training pipeline from a declaration: ready, train, gate, promote, and an asset event.

Nothing here reaches out when Airflow reads it. Airflow finds no pipeline in this file, only in those that call it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import DAG, Asset, Param, task
from airflow.sdk.exceptions import AirflowFailException

from trainyard.airflow import PromoteOperator, ServiceReadySensor, TrainOperator

START = datetime(2025, 12, 27, tzinfo=timezone.utc)  # noqa: UP017 - as DAGs are written
DEFAULT_ARGS = {
    "owner": "airflow",
    "retries": 1,
    "retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=2),
}


def champion_asset(registered: str) -> Asset:
    """What a pipeline emits when the champion of its registered model changed, and others are scheduled by."""
    return Asset(name=f"champion of {registered}", uri=f"mlflow://models/{registered}/champion")


def connection(service: str) -> str:
    """The id of a service's HTTP connection."""
    return f"trainyard_{service}"


def training_pipeline(  # noqa: PLR0913 - a declaration
    dag_id: str,
    *,
    service: str,
    model: str,
    data: Mapping[str, Any],
    params: Mapping[str, Param],
    registered: str,
    metric: str,
    minimum: float,
    tags: Sequence[str],
    description: str,
) -> DAG:
    """A daily pipeline. Each of `params` is a field of the Trigger form and a hyperparameter of the model."""
    asset = champion_asset(registered)
    form = {
        **params,
        "data": Param(dict(data), type="object", description="The data, as in a request's `data`"),
        "minimum": Param(minimum, type="number", minimum=0, maximum=1, description=f"The least {metric} that may become champion"),
    }
    with DAG(
        dag_id, schedule="@daily", start_date=START, catchup=False, default_args=DEFAULT_ARGS, tags=list(tags),
        params=form, description=description, doc_md=__doc__, max_active_runs=1,
    ) as dag:
        ready = ServiceReadySensor(task_id="ready", conn_id=connection(service), model=model)
        train = TrainOperator(
            task_id="train",
            conn_id=connection(service),
            request={
                "model": model,
                "params": {name: dag.param(name) for name in params},
                "data": dag.param("data"),
                "experiment": dag_id,
                "tags": {"airflow.dag_id": dag_id, "airflow.run_id": "{{ run_id }}"},
                "register": {"name": registered, "alias": "challenger"},
            },
        )
        passed = gate(train.output["metrics"], metric=metric, minimum=dag.param("minimum"))
        promote = PromoteOperator(task_id="promote", registered=train.output["registered"], metric=metric, outlets=[asset])
        ready >> train >> passed >> promote
    return dag


@task(retries=0)
def gate(metrics: dict[str, float], *, metric: str, minimum: float) -> float:
    """Let only a model through that is good enough."""
    value = metrics.get(metric)
    if value is None or value < minimum:
        message = f"{metric} is {value}, and {minimum} is the least that may go on"
        raise AirflowFailException(message)
    print(f"{metric} {value:.5g} reaches {minimum}")  # noqa: T201 - the task's log
    return value
