"""The same training without a service: one container of the same image, which ends with the run.

For machines where nothing should stay up. The worker needs to reach the Docker engine. Where the container finds
its network, its data and MLflow, and what it may take, is said by environment variables of Airflow's:
TRAINYARD_ONE_SHOT_IMAGE, _NETWORK, _DATA (a folder of the host), _CPUS, _MEMORY, and MLFLOW_TRACKING_URI.
"""

import json
import os
from typing import Any

from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import DAG, Param, task
from docker.types import Mount
from trainyard.airflow.pipeline import DEFAULT_ARGS

DATA = os.environ.get("TRAINYARD_ONE_SHOT_DATA")
RUN_FILE = "/tmp/run.json"  # noqa: S108 - the container's own


class TrainOnce(DockerOperator):
    """Gives on the run that its container wrote into `retrieve_output_path`, as JSON.

    What a container prints cannot serve: standard output and standard error come mixed, also within a line.
    """

    pickling_library = json
    """What DockerOperator loads the file with; pickle, its default, would run code that the container chose."""


with DAG(
    "docker_one_shot",
    schedule=None,
    default_args=dict(DEFAULT_ARGS),
    description="Train in a container of its own, without a service",
    tags=["ml", "xgboost", "mlflow", "docker"],
    doc_md=__doc__,
    params={
        "request": Param(
            {
                "model": "xgboost_classifier",
                "params": {"n_estimators": 50},
                "data": {"source": "builtin", "name": "breast_cancer"},
                "experiment": "docker_one_shot",
            },
            type="object",
            description="The body of POST /train",
        ),
    },
) as dag:
    train = TrainOnce(
        task_id="train",
        image=os.environ.get("TRAINYARD_ONE_SHOT_IMAGE", "trainyard-boosting:latest"),
        command=["run", "--output", RUN_FILE, "{{ params.request | tojson }}"],
        retrieve_output=True,
        retrieve_output_path=RUN_FILE,
        environment={
            "MLFLOW_TRACKING_URI": os.environ.get("MLFLOW_TRACKING_URI", "http://mlflow:5000"),
            "TRAINYARD_DATA_ROOTS": "/data",
            "TRAINYARD_DATA_DIR": "/data",
            "TRAINYARD_WORK_DIR": "/tmp/work",  # noqa: S108 - the container's own
        },
        network_mode=os.environ.get("TRAINYARD_ONE_SHOT_NETWORK", "trainyard_trainers"),
        mounts=[Mount("/data", DATA, type="bind", read_only=True)] if DATA else [],
        mount_tmp_dir=False,
        cpus=float(os.environ.get("TRAINYARD_ONE_SHOT_CPUS", "2")),
        mem_limit=os.environ.get("TRAINYARD_ONE_SHOT_MEMORY", "4g"),
        auto_remove="force",
    )

    @task
    def result(run: dict[str, Any]) -> dict[str, Any]:
        """The part of the run that TrainOperator gives too."""
        return {
            name: run[name] for name in ("run_id", "status", "model_uri", "registered", "metrics")
        }

    result(train.output)
