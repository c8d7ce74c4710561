"""The training task."""

from typing import Any

from trainyard.airflow.run_operator import RunOperator
from trainyard.contract import Run, RunKind, TrainRequest


class TrainOperator(RunOperator):
    """Trains a model in a Trainyard service; `request` is the body of `POST /train`.

    Its result has `run_id` (MLflow's), `status`, `model_uri`, `registered` and `metrics`.
    """

    request_type = TrainRequest
    kind = RunKind.TRAIN

    def result(self, run: Run) -> dict[str, Any]:
        """What the task gives on: small, and plain JSON."""
        whole = run.model_dump(mode="json")
        return {
            name: whole[name] for name in ("run_id", "status", "model_uri", "registered", "metrics")
        }
