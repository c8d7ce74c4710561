"""A search for hyperparameters, as it is asked for and as it ended."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from trainyard.contract.directions import more_is_better
from trainyard.contract.wire import Wire
from trainyard.contract.words import Task

MOST_PARAMS = 100
MOST_CHOICES = 1_000
MOST_TRIALS = 10_000
ParamName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Choices = Annotated[list[Any], Field(min_length=1, max_length=MOST_CHOICES)]
Number = int | float
BY_DEFAULT = {
    Task.CLASSIFICATION: "validation_log_loss",
    Task.REGRESSION: "validation_root_mean_squared_error",
}
"""What is best where a search does not say."""
THE_EXPERIMENT = "experiment"


class Direction(StrEnum):
    """Where a search goes."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class SamplerName(StrEnum):
    """How the next params are chosen; Optuna's samplers."""

    TPE = "tpe"
    RANDOM = "random"
    GRID = "grid"
    CMAES = "cmaes"
    GP = "gp"


class PrunerName(StrEnum):
    """How trials that fall behind are ended early; Optuna's pruners."""

    MEDIAN = "median"
    HYPERBAND = "hyperband"
    NONE = "none"


class OnCancel(StrEnum):
    """What cancelling a run does while it searches."""

    END = "end"
    TRAIN_BEST = "train_best"


class Dimension(Wire):
    """The values of one param: from `low` to `high`, or `choices`."""

    low: Number | None = Field(None, examples=[0.01])
    high: Number | None = Field(None, examples=[0.3], description="Included")
    log: bool = Field(False, description="Small values as often as large ones")
    step: Number | None = Field(None, description="Only low, low + step, and so on")
    choices: Choices | None = None
    when: Annotated[dict[ParamName, Choices], Field(min_length=1, max_length=10)] | None = Field(
        None,
        description="Only where these other params of the space have one of these values; otherwise the request's or the model's own value",
        examples=[{"booster": ["dart"]}],
    )

    @model_validator(mode="after")
    def _is_a_range_or_choices(self) -> "Dimension":
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log or self.step is not None:
                message = "choices have no low, high, log or step; take either out"
                raise ValueError(message)
            return self
        if self.low is None or self.high is None:
            message = "needs low and high, or choices"
            raise ValueError(message)
        if self.low > self.high:
            message = f"low {self.low} is above high {self.high}"
            raise ValueError(message)
        if self.log and self.low <= 0:
            message = f"low {self.low} cannot be on a log scale; it must be above 0"
            raise ValueError(message)
        if self.log and self.step is not None:
            message = "log and step do not go together; take one out"
            raise ValueError(message)
        if self.step is not None and self.step <= 0:
            message = f"step {self.step} must be above 0"
            raise ValueError(message)
        return self


Space = Annotated[dict[ParamName, Dimension | Choices], Field(min_length=1, max_length=MOST_PARAMS)]


class BestOf(Wire):
    """The best params of an earlier search of the same model, in the same experiment."""

    best_of: str = Field(
        pattern=f"^({THE_EXPERIMENT}|[0-9a-f]{{32}})$",
        examples=[THE_EXPERIMENT],
        description="The run that searched, by its id; or 'experiment': the search that came to the best value of this metric, and none where there was none yet",
    )
    found: dict[ParamName, Any] = Field(
        default_factory=dict,
        description="What they are: written here by the service when the request is submitted",
    )
    found_by: str | None = Field(None, description="The run they are from, likewise")


class Search(Wire):
    """Find the params by training many times, then train with the best ones. The test rows are not seen by it."""

    space: Space | None = Field(
        None,
        description="Param to its range or its list of choices; the model's own space by default, without what `params` says",
        examples=[
            {
                "max_depth": {"low": 3, "high": 10},
                "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
            }
        ],
    )
    metric: str | None = Field(
        None,
        examples=["validation_roc_auc"],
        description="What is best; validation_log_loss or validation_root_mean_squared_error by default",
    )
    direction: Direction | None = Field(
        None, description="Follows from the metric's name: losses and errors are minimized"
    )
    trials: int = Field(50, ge=1, le=MOST_TRIALS, description="How many trainings")
    parallel: int = Field(
        1,
        ge=1,
        le=64,
        description="How many at once, in the run's slot and in those that nobody needs; with several workers one for each at least",
    )
    timeout_seconds: int | None = Field(
        None, ge=1, le=7 * 24 * 3600, description="No longer than this; the best so far wins"
    )
    sampler: SamplerName = Field(SamplerName.TPE, description="gp needs a service that has PyTorch")
    pruner: PrunerName = Field(
        PrunerName.MEDIAN, description="Ends trials that fall behind the others"
    )
    warm_start: BestOf | Annotated[list[dict[ParamName, Any]], Field(max_length=MOST_CHOICES)] = (
        Field(
            default_factory=list,
            description="Params of the space to try first, or the best of an earlier search",
            examples=[[{"max_depth": 6, "learning_rate": 0.1}], {"best_of": THE_EXPERIMENT}],
        )
    )
    cross_validation: int | None = Field(
        None,
        ge=2,
        le=20,
        examples=[5],
        description="Each trial is trained so many times, on other folds of the training and validation rows, as `split` says; its metric is the mean",
    )
    on_cancel: OnCancel = Field(
        OnCancel.END,
        description="train_best: cancelling ends the search alone, and the best is trained",
    )

    @field_validator("metric")
    @classmethod
    def _not_of_the_test_rows(cls, metric: str | None) -> str | None:
        if metric is not None and metric.startswith("test_"):
            name = metric.removeprefix("test_")
            message = f"{metric!r} is of the test rows, which a search never sees; take 'validation_{name}'"
            raise ValueError(message)
        return metric

    @field_validator("direction")
    @classmethod
    def _of_a_metric(cls, direction: Direction | None, info: ValidationInfo) -> Direction | None:
        if direction is not None and info.data.get("metric") is None:
            message = f"direction {direction.value!r} needs metric: the name of what is {direction.value}d"
            raise ValueError(message)
        return direction

    def metric_of(self, task: Task) -> str:
        """The metric whose best value wins."""
        return self.metric or BY_DEFAULT[task]

    def direction_of(self, metric: str) -> Direction:
        """What the request says, or else what the metric's name does."""
        by_name = Direction.MAXIMIZE if more_is_better(metric) else Direction.MINIMIZE
        return self.direction or by_name


class Trial(Wire):
    """A trial of a search that has ended."""

    number: int
    end: str = Field(
        description="completed, or in words how else it ended, such as 'pruned after 12 of 100 rounds'"
    )
    value: float | None = Field(None, description="Of the search's metric, where it was completed")
    params: dict[str, str] = Field(description="Those of the space alone, as MLflow has them")
    seconds: float
    mlflow: str = Field(description="Its page in MLflow")


class TrialPage(Wire):
    """Trials, completed ones first and of these the best; `cursor` asks for the next page and is null on the last."""

    metric: str | None = Field(
        description="What is best; null where no trial was completed yet, or the run does not search"
    )
    trials: list[Trial]
    cursor: str | None = None


class Searched(Wire):
    """What a search found."""

    metric: str
    direction: Direction
    best_trial: int
    best_value: float
    best_std: float | None = Field(
        None, description="Its standard deviation among the folds, where it is their mean"
    )
    best_params: dict[str, Any]
    """Those of the space alone."""
    trials: int = Field(description="How many ended, however they did")
    completed: int
    pruned: int
    failed: int
