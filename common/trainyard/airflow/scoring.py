"""The scoring task."""

from typing import Any

from trainyard.airflow.run_operator import RunOperator
from trainyard.contract import Run, RunKind, ScoreRequest


class ScoreOperator(RunOperator):
    """Scores rows with a model of MLflow in a Trainyard service; `request` is the body of `POST /score`.

    Its result has `run_id` (MLflow's), `status`, `model_uri` (the version that an alias stood for at the submit),
    `rows`, `metrics`, and `predictions`: the address of the Parquet file in MLflow.
    """

    request_type = ScoreRequest
    kind = RunKind.SCORE

    def result(self, run: Run) -> dict[str, Any]:
        """What the task gives on: small, and plain JSON."""
        return {
            "run_id": run.run_id,
            "status": run.status.value,
            "model_uri": run.model_uri,
            "rows": run.progress.total if run.progress else 0,
            "metrics": run.metrics,
            "predictions": f"runs:/{run.run_id}/predictions.parquet",
        }
