"""What a search calls best, and what its trials are pruned by."""

from collections.abc import Iterable

from trainyard.contract import Direction, FieldError, Search, Task, TrainRequest
from trainyard.contract.directions import more_is_better
from trainyard.suggestions import suggestion
from trainyard.worker.evaluation import METRICS

PARTS = ("validation", "train")
BY_DEFAULT = {
    Task.CLASSIFICATION: "validation_log_loss",
    Task.REGRESSION: "validation_root_mean_squared_error",
}


def metric_of(search: Search, task: Task) -> str:
    """The metric whose best value wins."""
    return search.metric or BY_DEFAULT[task]


def direction_of(search: Search, task: Task) -> Direction:
    """Whether its best value is the least or the greatest."""
    return search.direction_of(metric_of(search, task))


def wrong_metric(request: TrainRequest, task: Task) -> list[FieldError]:
    """What is wrong with the metric of a request's search."""
    search = request.search
    if search is None:
        return []
    metric = metric_of(search, task)
    known = [f"{part}_{name}" for part in PARTS for name in METRICS[task]]
    if metric not in known:
        hint = suggestion(metric, known, otherwise="its metrics are")
        detail = f"{metric!r} is no metric of {request.model!r}; {hint}"
        return [FieldError(pointer="/search/metric", detail=detail)]
    if metric.startswith("validation_") and not _has_validation_rows(request):
        name = metric.removeprefix("validation_")
        detail = f"{metric!r} needs validation rows, and split.validation_size is 0; set it above 0, or take 'train_{name}'"
        return [FieldError(pointer="/search/metric", detail=detail)]
    return []


def pruned_by(metric: str, reported: Iterable[str]) -> str | None:
    """The round's metric that trials are compared by: the search's own, or else a loss of the same rows.

    None where a round reports neither.
    """
    names = list(reported)
    if metric in names:
        return metric
    part = metric.partition("_")[0]
    return next((name for name in names if name.startswith(f"{part}_")), None)


def comparable(name: str, value: float, direction: Direction) -> float:
    """The value of a round's metric, turned round where its direction is not the search's."""
    same = more_is_better(name) is (direction is Direction.MAXIMIZE)
    return value if same else -value


def _has_validation_rows(request: TrainRequest) -> bool:
    return request.split.by == "column" or request.split.validation_size > 0
