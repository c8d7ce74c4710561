"""Builds a training pipeline from a declaration: ready, train, gate, promote, and an asset event.

Nothing here reaches out when Airflow reads a file that calls it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Param, task
from airflow.sdk.exceptions import AirflowFailException

from trainyard.airflow.operator import TrainOperator
from trainyard.airflow.promotion import PromoteOperator
from trainyard.airflow.ready import ServiceReadySensor

START = datetime(2025, 12, 27, tzinfo=UTC)
DEFAULT_ARGS: Mapping[str, Any] = {
    "owner": "airflow",
    "retries": 1,
    "retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=2),
}
DOC = """
Waits until the service is **ready**, **train**s a `{model}`, lets it through the **gate** if `{metric}` reaches
`minimum`, and **promote**s it to champion of `{registered}` if it beats the champion on the same data and split.
A new champion is an event of the asset `{asset}`, by which other DAGs may be scheduled. The run, its metrics and
the model are in MLflow: see the buttons of the task `train`.
"""


def champion_asset(registered: str) -> Asset:
    """What a pipeline emits when the champion of its registered model changed, and others are scheduled by."""
    return Asset(name=f"champion of {registered}", uri=f"mlflow://models/{registered}/champion", group="champions")


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
    **changes: Any,
) -> DAG:
    """A daily pipeline.

    :param service: Whose connection `trainyard_<service>` is used.
    :param data: The default of the form's `data`.
    :param params: Each is a field of the Trigger form and a hyperparameter of the model.
    :param registered: The registered model. A new version is `challenger`, and `champion` if it is promoted.
    :param metric: Of the test rows; greater is better.
    :param minimum: The least of it that passes the gate; a field of the form.
    :param changes: Arguments of the DAG, such as another `schedule`.
    """
    asset = champion_asset(registered)
    conn_id = f"trainyard_{service}"
    form = {
        **params,
        "data": Param(dict(data), type="object", title="Data", description="The data, as in a request's `data`"),
        "minimum": Param(minimum, type="number", minimum=0, maximum=1, description=f"The least {metric} that may become champion"),
    }
    declared: dict[str, Any] = {
        "schedule": "@daily", "start_date": START, "catchup": False, "default_args": dict(DEFAULT_ARGS), "max_active_runs": 1,
        "doc_md": DOC.format(model=model, metric=metric, registered=registered, asset=asset.name), **changes,
    }
    with DAG(dag_id, description=description, tags=list(tags), params=form, **declared) as dag:  # noqa: AIR002 - in `declared`
        ready = ServiceReadySensor(task_id="ready", conn_id=conn_id, model=model)
        train = TrainOperator(
            task_id="train",
            conn_id=conn_id,
            request={
                "model": model,
                "params": {name: dag.param(name) for name in params},
                "data": dag.param("data"),
                "experiment": dag_id,
                "tags": {"airflow.dag_id": dag_id, "airflow.run_id": "{{ run_id }}"},
                "register": {"name": registered, "alias": "challenger"},
                # A service that dies goes on from the checkpoint by itself; the task's retry is for what fails.
                "max_attempts": 3,
            },
        )
        passed = gate(train.output["metrics"], metric=metric, minimum=dag.param("minimum"))
        promote = PromoteOperator(task_id="promote", registered=train.output["registered"], metric=metric, outlets=[asset])
        ready >> train >> passed >> promote
    return dag


@task(retries=0)  # type: ignore[untyped-decorator]
def gate(metrics: Mapping[str, float], *, metric: str, minimum: float) -> float:
    """Let only a model through that is good enough."""
    value = metrics.get(metric)
    if value is None or value < minimum:
        raise AirflowFailException(f"{metric} is {value}, and {minimum} is the least that may go on")
    print(f"{metric} {value:.5g} reaches {minimum}")  # noqa: T201 - the task's log
    return value
