"""DAGs of the tests: each trains once, what its DAG run's conf says."""

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from trainyard.airflow import TrainOperator


class DiesOnce(TrainOperator):
    """Its worker is killed, in the first try, after the submit and before the task is deferred."""

    def defer(self, **kwargs: Any) -> None:
        if get_current_context()["ti"].try_number == 1:
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        super().defer(**kwargs)


OPERATORS: dict[str, Any] = {
    "deferred": TrainOperator,
    "in_worker": (lambda **arguments: TrainOperator(deferrable=False, **arguments)),
    "worker_dies": DiesOnce,
    "short_of_time": (
        lambda **arguments: TrainOperator(execution_timeout=timedelta(seconds=5), **arguments)
    ),
}

for name, operator in OPERATORS.items():
    with DAG(
        name,
        schedule=None,
        params={"request": Param({}, type="object")},
        default_args={"retries": 1, "retry_delay": timedelta(seconds=0)},
    ) as dag:
        operator(task_id="train", conn_id="trainyard_boosting", request=dag.param("request"))
    globals()[name] = dag

with DAG(
    "many", schedule=None, params={"requests": Param([], type="array")}, max_active_tasks=64
) as many:

    @task
    def requests() -> Any:
        return get_current_context()["params"]["requests"]

    TrainOperator.partial(task_id="train", conn_id="trainyard_boosting").expand(request=requests())
