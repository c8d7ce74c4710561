"""Reads the project's DAGs in Airflow's environment, with no network, and prints what they are as JSON."""

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from trainyard.airflow import TrainOperator


class TimedBag(DagBag):  # type: ignore[misc]  # of another environment
    """Notes how many seconds of the processor each file takes to be read."""

    def __init__(self, folder: str) -> None:
        self.seconds: dict[str, float] = {}
        super().__init__(dag_folder=folder)

    def process_file(self, filepath: str, *how: Any, **named: Any) -> Any:
        began = time.process_time()
        found = super().process_file(filepath, *how, **named)
        self.seconds[Path(filepath).name] = time.process_time() - began
        return found


def refuse(*_: object) -> None:
    raise OSError("a DAG reached out while it was read")


def described(dag: Any) -> dict[str, Any]:
    """What a test asks of a DAG."""
    return {
        "file": dag.fileloc.rsplit("/", 1)[-1],
        "tags": sorted(dag.tags),
        "start": dag.start_date and dag.start_date.date().isoformat(),
        "catchup": dag.catchup,
        "schedule": repr(dag.schedule),
        "tasks": {
            each.task_id: {
                "owner": each.owner,
                "retries": each.retries,
                "retry_seconds": each.retry_delay.total_seconds(),
                "timeout_seconds": each.execution_timeout
                and each.execution_timeout.total_seconds(),
                "outlets": [asset.name for asset in each.outlets],
                "after": sorted(each.upstream_task_ids),
            }
            for each in dag.tasks
        },
        "trains": [
            {"service": each.conn_id.removeprefix("trainyard_"), **each.request}
            for each in dag.tasks
            if isinstance(each, TrainOperator)
        ],
        "params": {
            name: {"description": each.description, **each.schema}
            for name in dag.params
            for each in [dag.params.get_param(name)]
        },
    }


socket.socket.connect = refuse  # type: ignore[assignment]
bag = TimedBag(sys.argv[1])
print(  # noqa: T201 - read by the test
    json.dumps(
        default=str,
        obj={
            "errors": bag.import_errors,
            "seconds": bag.seconds,
            "dags": {dag_id: described(dag) for dag_id, dag in bag.dags.items()},
            "loaded": [
                name
                for name in (
                    "fastapi_app",
                    "mlflow",
                    "pandas",
                    "xgboost",
                    "lightgbm",
                    "tensorflow",
                    "torch",
                )
                if name in sys.modules
            ],
        },
    )
)
