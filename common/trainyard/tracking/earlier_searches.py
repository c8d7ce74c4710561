"""The best params of an earlier search, for one that is to try them first."""

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from trainyard.contract import THE_EXPERIMENT, BestOf, Direction, RunStatus, Task, TrainRequest
from trainyard.errors import Invalid
from trainyard.tracking.availability import is_away
from trainyard.tracking.kept import OUTCOME, Kept

HERE = "/search/warm_start/best_of"
LOOKED_AT = 50
"""Of the experiment's searches, the best so many are read; the tag of one may have been changed by somebody."""


def with_the_best(client: MlflowClient, request: TrainRequest, task: Task) -> TrainRequest:
    """The request with the params that its `warm_start` means now.

    Raises `Invalid` for a run that is no finished search of the same model and experiment.
    """
    search = request.search
    if search is None or not isinstance(search.warm_start, BestOf):
        return request
    best = search.warm_start
    if best.best_of == THE_EXPERIMENT:
        run = _best_of_all(client, request, search.metric_of(task))
    else:
        run = _of_run(client, request, best.best_of)
    searched = Kept.read(run.data.tags).searched if run else None
    update = {
        "found": searched.best_params if searched else {},
        "found_by": run.info.run_id if run else None,
    }
    changed = search.model_copy(update={"warm_start": best.model_copy(update=update)})
    return request.model_copy(update={"search": changed})


def _of_run(client: MlflowClient, request: TrainRequest, run_id: str) -> MlflowRun:
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if is_away(error):
            raise
        raise Invalid.field(HERE, f"{run_id!r} is no run that MLflow has") from error
    tags = run.data.tags
    if Kept.read(tags).searched is None:
        raise Invalid.field(HERE, f"run {run_id} has not searched and finished; take one that has")
    for name, wanted in (("experiment", request.experiment), ("model", request.model)):
        found = tags.get(f"trainyard.{name}", "")
        if found != wanted:
            raise Invalid.field(
                HERE,
                f"run {run_id} is of the {name} {found!r}, and this one of {wanted!r}; take one of the same",
            )
    return run


def _best_of_all(client: MlflowClient, request: TrainRequest, metric: str) -> MlflowRun | None:
    experiment = client.get_experiment_by_name(request.experiment)
    if experiment is None or request.search is None:
        return None
    best_last = request.search.direction_of(metric) is Direction.MAXIMIZE
    found = client.search_runs(
        [experiment.experiment_id],
        f"attributes.status = '{RunStatus.FINISHED}' and tags.`trainyard.model` = '{request.model}'"
        f" and tags.`{OUTCOME}` LIKE '%\"searched\":%'",
        max_results=LOOKED_AT,
        order_by=[f"metrics.`best_{metric}` {'DESC' if best_last else 'ASC'}"],
    )
    for each in found:
        searched = Kept.read(each.data.tags).searched
        if searched is not None and searched.metric == metric:
            return each
    return None
