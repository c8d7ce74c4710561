"""What a search calls best, and what its trials are pruned by."""

from collections.abc import Iterable

from trainyard.contract import Direction, FieldError, Search, Task, TrainRequest
from trainyard.contract.directions import more_is_better
from trainyard.suggestions import suggestion
from trainyard.worker.evaluation import METRICS

PARTS = ("validation", "train")


def direction_of(search: Search, task: Task) -> Direction:
    """Whether its best value is the least or the greatest."""
    return search.direction_of(search.metric_of(task))


def wrong_metric(request: TrainRequest, task: Task) -> list[FieldError]:
    """What is wrong with the metric of a request's search."""
    search = request.search
    if search is None:
        return []
    metric = search.metric_of(task)
    known = [f"{part}_{name}" for part in PARTS for name in METRICS[task]]
    if metric not in known:
        hint = suggestion(metric, known, otherwise="its metrics are")
        detail = f"{metric!r} is no metric of {request.model!r}; {hint}"
        return [FieldError(pointer="/search/metric", detail=detail)]
    if metric.startswith("validation_") and not _has_validation_rows(request):
        name = metric.removeprefix("validation_")
        detail = f"{metric!r} needs validation rows, and split.validation_size is 0; set it above 0, or take 'train_{name}'"
        return [FieldError(pointer="/search/metric", detail=detail)]
    return _wrong_folds(request, metric)


def _wrong_folds(request: TrainRequest, metric: str) -> list[FieldError]:
    """What there can be no folds for."""
    if request.search is None or request.search.cross_validation is None:
        return []
    if metric.startswith("train_"):
        name = metric.removeprefix("train_")
        detail = f"measures the rows that validate, and the metric is {metric!r}; take 'validation_{name}', or leave it out"
    elif request.split.by == "column":
        detail = "has no meaning with split.by 'column', where the table says which rows validate; leave it out"
    else:
        return []
    return [FieldError(pointer="/search/cross_validation", detail=detail)]


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
