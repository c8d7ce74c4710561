"""What MLflow has recorded of a version's run: its metric, and whether another run was tested on the same rows."""

import math
from collections.abc import Callable, Mapping

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from trainyard.registry.aliases import is_missing
from trainyard.registry.promotion import Candidate, Judgement

DIGEST_TAG = "trainyard.data_digest"
SPLIT_TAG = "trainyard.split"
TEST_ROWS_TAG = "trainyard.test_rows"


def candidate_of(client: MlflowClient, version: ModelVersion, metric: str) -> Candidate:
    """The version with what its run has of the metric; without it where the run is gone or never had it."""
    run = run_of(client, version)
    rows = run.data.tags.get(TEST_ROWS_TAG) if run else None
    return Candidate(
        str(version.version), _value(run, metric), int(rows) if rows and rows.isdigit() else None
    )


def recorded(
    client: MlflowClient, candidate: ModelVersion, metric: str
) -> Callable[[ModelVersion], Judgement]:
    """A judge for when no model can be loaded: two runs of the same data and split were tested on the same rows."""
    own = run_of(client, candidate)

    def judge(holder: ModelVersion) -> Judgement:
        number = str(holder.version)
        theirs = run_of(client, holder)
        if theirs is None:
            return Judgement(number, incomparable="its run was deleted")
        why = other_rows(own.data.tags if own else {}, theirs.data.tags)
        if why:
            return Judgement(number, incomparable=why)
        value = _value(theirs, metric)
        if value is None:
            return Judgement(
                number, incomparable=f"its run has no metric {metric}, or it is no number"
            )
        return Judgement(number, value, seen=0)

    return judge


def other_rows(mine: Mapping[str, str], theirs: Mapping[str, str]) -> str | None:
    """Why two runs with these tags were not tested on the same rows; None where they were."""
    for tag, what in ((DIGEST_TAG, "data"), (SPLIT_TAG, "split")):
        if mine.get(tag) is None or mine.get(tag) != theirs.get(tag):
            return f"its run had another {what}, or none that is known ({tag})"
    return None


def run_of(client: MlflowClient, version: ModelVersion) -> Run | None:
    """The run that made the version; None where there is none any more, or never was."""
    if not version.run_id:
        return None
    try:
        return client.get_run(version.run_id)
    except MlflowException as error:
        if not is_missing(error):
            raise
        return None


def _value(run: Run | None, metric: str) -> float | None:
    value = run.data.metrics.get(metric, math.nan) if run else math.nan
    return float(value) if math.isfinite(value) else None
