"""The training task."""

from typing import Any

from trainyard.airflow.run_operator import RunOperator
from trainyard.contract import Run, RunKind, TrainRequest


class TrainOperator(RunOperator):
    """Trains a model in a Trainyard service; `request` is the body of `POST /train`.

    Its result has `run_id` (MLflow's), `status`, `model_uri`, `registered` and `metrics`; that of a run that searched
    has `best_params` and `trials`, how many ended, too.
    """

    request_type = TrainRequest
    kind = RunKind.TRAIN

    def result(self, run: Run) -> dict[str, Any]:
        """What the task gives on: small, and plain JSON."""
        whole = run.model_dump(mode="json")
        found = {
            name: whole[name] for name in ("run_id", "status", "model_uri", "registered", "metrics")
        }
        if run.searched is None:
            return found
        return found | {
            "best_params": whole["searched"]["best_params"],
            "trials": run.searched.trials,
        }
