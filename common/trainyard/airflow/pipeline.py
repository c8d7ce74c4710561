"""Builds a training pipeline from a declaration: ready, train, gate, perhaps approve, promote, and an asset event.

Nothing here reaches out when Airflow reads a file that calls it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Param, chain, task
from airflow.sdk.exceptions import AirflowFailException

from trainyard.airflow.operator import TrainOperator
from trainyard.airflow.promotion import PromoteOperator
from trainyard.airflow.ready import ServiceReadySensor
from trainyard.contract.directions import more_is_better

START = datetime(2025, 12, 27, tzinfo=UTC)
DEFAULT_ARGS: Mapping[str, Any] = {
    "owner": "airflow",
    "retries": 1,
    "retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=2),
}
DECLARED: Mapping[str, Any] = {
    "schedule": "@daily",
    "start_date": START,
    "catchup": False,
    "max_active_runs": 1,
}
DOC = """
Waits until the service is **ready**, **train**s a `{model}`, lets it through the **gate** if `{metric}` reaches
`minimum`, and **promote**s it to champion of `{registered}` if it beats the champion on the same test rows.
A new champion is an event of the asset `{asset}`, by which other DAGs may be scheduled. The run, its metrics and
the model are in MLflow: see the buttons of the task `train`.
"""


def champion_asset(registered: str) -> Asset:
    """What a pipeline emits when the champion of its registered model changed, and others are scheduled by."""
    return Asset(
        name=f"champion of {registered}",
        uri=f"mlflow://models/{registered}/champion",
        group="champions",
    )


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
    split: Mapping[str, Any] | None = None,
    rule: Mapping[str, Any] | None = None,
    approval: bool = False,
    **changes: Any,
) -> DAG:
    """A daily pipeline.

    :param service: Whose connection `trainyard_<service>` is used.
    :param data: The default of the form's `data`.
    :param params: Each is a field of the Trigger form and a hyperparameter of the model.
    :param registered: The registered model. A new version is `challenger`, and `champion` if it is promoted.
    :param metric: Of the test rows; greater is better, as the gate lets through what reaches `minimum`. Raises
        `ValueError` otherwise. A loss to promote by is named in `rule`.
    :param minimum: The least of it that passes the gate; a field of the form.
    :param split: The request's `split`, such as `{"by": "time", "column": "signed_up_on"}`.
    :param rule: More of the request's `register.promote` than the metric, such as `{"confidence": 0.95}`, or another
        metric.
    :param approval: Have a person approve or reject between gate and promotion, in Airflow's own page for that.
        While one is asked the DAG run waits, and with `max_active_runs=1` so do those after it.
    :param changes: Arguments of the DAG, such as another `schedule`.
    """
    _check_direction(metric, minimum, rule or {})
    asset = champion_asset(registered)
    conn_id = f"trainyard_{service}"
    declared = {
        **DECLARED,
        "default_args": dict(DEFAULT_ARGS),
        "doc_md": DOC.format(model=model, metric=metric, registered=registered, asset=asset.name),
        **changes,
    }
    form = _form(params, data=data, metric=metric, minimum=minimum)
    with DAG(dag_id, description=description, tags=list(tags), params=form, **declared) as dag:  # noqa: AIR002 - in `declared`
        register = _register(registered, metric, rule)
        request = _request(dag, model=model, params=params, split=split, register=register)
        ready = ServiceReadySensor(task_id="ready", conn_id=conn_id, model=model)
        train = TrainOperator(task_id="train", conn_id=conn_id, request=request)
        passed = gate(train.output["metrics"], metric=metric, minimum=dag.param("minimum"))
        approve = [_approve(registered)] if approval else []
        promote = _promote(train, conn_id, asset, *approve)
        chain(ready, train, passed, *approve, promote)
    return dag


def _check_direction(metric: str, minimum: float, rule: Mapping[str, Any]) -> None:
    """Raise where the gate would let through what is bad, and hold what is good."""
    said = rule.get("greater_is_better") if rule.get("metric", metric) == metric else None
    if more_is_better(metric) if said is None else said:
        return
    raise ValueError(
        f"metric is {metric!r}, of which less is better, and the gate asks for {minimum} at least; take one of which "
        f"more is better, such as 'test_r2' or 'test_accuracy', and name {metric!r} in rule={{'metric': …}}"
    )


def _promote(train: TrainOperator, conn_id: str, asset: Asset, *approve: Any) -> PromoteOperator:
    """The task that has the service decide, with a person's answer where there is one."""
    return PromoteOperator(
        task_id="promote",
        run_id=train.output["run_id"],
        conn_id=conn_id,
        answer=next((each.output for each in approve), None),
        outlets=[asset],
    )


def _register(registered: str, metric: str, rule: Mapping[str, Any] | None) -> dict[str, Any]:
    """The request's `register`: a challenger, and a promotion that waits for the task `promote`."""
    promote = {"metric": metric, **(rule or {}), "when": "asked"}
    return {"name": registered, "alias": "challenger", "promote": promote}


def _approve(registered: str) -> Any:
    """Airflow's operator that asks a person; read only by the pipelines that have one."""
    from trainyard.airflow.approval import approval

    return approval(registered, train="train")


def _form(
    params: Mapping[str, Param], *, data: Mapping[str, Any], metric: str, minimum: float
) -> dict[str, Param]:
    """The fields of the Trigger form."""
    return {
        **params,
        "data": Param(
            dict(data),
            type="object",
            title="Data",
            description="The data, as in a request's `data`",
        ),
        "minimum": Param(
            minimum,
            type="number",
            minimum=0,
            maximum=1,
            description=f"The least {metric} that may become champion",
        ),
    }


def _request(
    dag: DAG,
    *,
    model: str,
    params: Mapping[str, Param],
    split: Mapping[str, Any] | None,
    register: Mapping[str, Any],
) -> dict[str, Any]:
    """The body of `POST /train`, with what the form was filled with."""
    return {
        "model": model,
        "params": {name: dag.param(name) for name in params},
        "data": dag.param("data"),
        **({"split": dict(split)} if split else {}),
        "experiment": dag.dag_id,
        "tags": {"airflow.dag_id": dag.dag_id, "airflow.run_id": "{{ run_id }}"},
        "register": dict(register),
        # A service that dies goes on from the checkpoint by itself; the task's retry is for what fails.
        "max_attempts": 3,
    }


@task(retries=0)  # type: ignore[untyped-decorator]
def gate(metrics: Mapping[str, float], *, metric: str, minimum: float) -> float:
    """Let only a model through that is good enough."""
    value = metrics.get(metric)
    if value is None or value < minimum:
        raise AirflowFailException(
            f"{metric} is {value}, and {minimum} is the least that may go on"
        )
    print(f"{metric} {value:.5g} reaches {minimum}")  # noqa: T201 - the task's log
    return value
