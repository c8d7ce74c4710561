"""The trials of a search, as MLflow has them: runs below the run, each made once the trial has ended."""

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.store.entities.paged_list import PagedList

from trainyard.contract import Direction, Run, RunStatus

PARENT, NUMBER, END = "mlflow.parentRunId", "trainyard.trial", "trainyard.trial_end"
RANK = "trainyard.rank"
"""The tags of a trial's run; as words the end that a completed trial has comes before all others."""


def best_so_far(run: Run) -> str | None:
    """The metric that the run's search goes by; None where no trial was completed yet."""
    if run.searched is not None:
        return run.searched.metric
    bests = (name.removeprefix("best_") for name in run.metrics if name.startswith("best_"))
    return next(bests, None)


def find_trials(
    client: MlflowClient,
    run: Run,
    *,
    best_first: tuple[str, Direction] | None,
    limit: int,
    token: str | None,
) -> PagedList[MlflowRun]:
    """A page of those that count: by how they ended, then by this metric, then the first first."""
    order = [f"tags.`{END}` ASC"]
    if best_first is not None:
        metric, direction = best_first
        order.append(f"metrics.`{metric}` {'ASC' if direction is Direction.MINIMIZE else 'DESC'}")
    return client.search_runs(
        [run.experiment_id],
        f"tags.`{PARENT}` = '{run.run_id}' AND tags.`{NUMBER}` LIKE '%'",
        max_results=limit,
        order_by=[*order, "attributes.start_time ASC"],
        page_token=token,
    )


def value_of(trial: MlflowRun, metric: str | None) -> float | None:
    """What the trial came to; None for one that was not completed."""
    completed = RunStatus(trial.info.status) is RunStatus.FINISHED
    return trial.data.metrics.get(metric) if completed and metric else None
