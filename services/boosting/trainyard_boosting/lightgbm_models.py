"""LightGBM on tables: `lightgbm_classifier` and `lightgbm_regressor`.

Defaults are the library's: https://lightgbm.readthedocs.io/en/v4.6.0/Parameters.html.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import lightgbm
import mlflow.lightgbm
from lightgbm.callback import CallbackEnv, EarlyStopException
from pydantic import Field, model_validator
from trainyard.contract import Task
from trainyard.errors import InvalidParams, OutOfMemory
from trainyard.trainer import Data, DataKind, Params, Training

from trainyard_boosting._fitting import NOT_FOR_ESTIMATOR, check, monotone, sample_weights
from trainyard_boosting._lightgbm_batches import fit_batches
from trainyard_boosting._lightgbm_ranks import fit_ranks
from trainyard_boosting._predictor import BoostedTrees, pinned
from trainyard_boosting._rounds import Rounds
from trainyard_boosting._tables import Table

SEARCH_SPACE: Mapping[str, Any] = {
    "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
    "n_estimators": {"low": 50, "high": 500, "step": 50},
    "num_leaves": {"low": 4, "high": 256, "log": True},
    "min_child_samples": {"low": 5, "high": 100, "log": True},
    "colsample_bytree": {"low": 0.4, "high": 1.0},
    "reg_lambda": {"low": 0.001, "high": 30.0, "log": True},
}
"""What a search tries where it is not told a space."""
DIGITS = 10
"""Of a metric that each of several ranks computes for itself: sums of its threads differ in the last ones, and early
stopping must not."""
MOST_DRAWN = 100
"""Columns. MLflow's autologging draws a bar a column, twice: 24 s for 2,000 columns, 200 s for 5,000."""


class LightGBMParams(Params):
    """What classifier and regressor share."""

    n_estimators: int = Field(100, ge=1, le=100_000, description="Boosting rounds")
    num_leaves: int = Field(31, ge=2, le=131_072, description="Leaves of a tree")
    max_depth: int = Field(
        -1, ge=-1, le=1000, description="Depth of a tree; 0 or less for no limit"
    )
    learning_rate: float = Field(0.1, gt=0, description="Shrinkage of each round")
    boosting_type: Literal["gbdt", "dart", "rf"] = Field(
        "gbdt", description="Boosting, boosting with dropout, or a random forest"
    )
    subsample_for_bin: int = Field(200_000, ge=1, description="Rows that bins are made from")
    max_bin: int = Field(255, ge=2, le=65_535, description="Bins of a numeric column")
    min_split_gain: float = Field(0.0, ge=0, description="Least gain of a split")
    min_child_weight: float = Field(1e-3, ge=0, description="Least sum of hessians in a leaf")
    min_child_samples: int = Field(20, ge=0, description="Least rows in a leaf")
    subsample: float = Field(
        1.0, gt=0, le=1, description="Share of rows; needs subsample_freq above 0"
    )
    subsample_freq: int = Field(
        0, ge=0, description="Rows are drawn anew every so many rounds; 0 for never"
    )
    colsample_bytree: float = Field(1.0, gt=0, le=1, description="Share of columns a tree")
    reg_alpha: float = Field(0.0, ge=0, description="L1 penalty on leaves")
    reg_lambda: float = Field(0.0, ge=0, description="L2 penalty on leaves")
    monotone_constraints: dict[str, Literal[-1, 0, 1]] | None = Field(
        None, description="Column to -1 falling, 0 free, 1 rising"
    )
    early_stopping_rounds: int | None = Field(
        None, ge=1, description="Stop after so many rounds without a better validation metric"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.boosting_type == "rf" and not (self.subsample_freq and self.subsample < 1):
            raise ValueError(
                "boosting_type 'rf' needs subsample below 1 and subsample_freq above 0"
            )
        if self.boosting_type == "dart" and self.early_stopping_rounds:
            raise ValueError(
                "boosting_type 'dart' changes earlier trees, so early_stopping_rounds cannot be used with it"
            )
        return self


class ClassifierParams(LightGBMParams):
    """Hyperparameters of `LGBMClassifier`, by its names."""

    scale_pos_weight: float = Field(1.0, gt=0, description="Weight of the second class of two")
    class_weight: Literal["balanced"] | dict[str, float] | None = Field(
        None, description="'balanced', or label to weight, 1 for those not named"
    )
    metric: (
        Literal[
            "binary_logloss",
            "multi_logloss",
            "auc",
            "average_precision",
            "auc_mu",
            "binary_error",
            "multi_error",
        ]
        | None
    ) = Field(
        None,
        description="Metric a round; binary_logloss, or multi_logloss for more than two classes, by default",
    )


class RegressorParams(LightGBMParams):
    """Hyperparameters of `LGBMRegressor`, by its names."""

    objective: Literal["regression", "regression_l1"] = Field(
        "regression", description="What is minimised"
    )
    metric: Literal["l2", "rmse", "l1", "mape"] | None = Field(
        None, description="Metric a round; the objective's own by default"
    )


@dataclass(frozen=True)
class LightGBM:
    """A `trainyard.trainer.Trainer`."""

    name: str
    task: Task
    params: type[LightGBMParams]
    estimator: type[Any]
    fit: Callable[..., Any]
    """The estimator's `fit` from before autologging: the one autologging puts in its place copies all rows."""
    description: str
    example: dict[str, Any]
    framework: str = "lightgbm"
    requirements: tuple[str, ...] = pinned("lightgbm")
    """What a logged model needs."""
    data: tuple[DataKind, ...] = ("table",)
    distributed: bool = True
    distributed_in_batches: bool = True
    search_space: Mapping[str, Any] = field(default_factory=lambda: SEARCH_SPACE)

    def autolog(self) -> None:
        mlflow.lightgbm.autolog(
            log_input_examples=False, log_models=False, log_datasets=False, silent=True
        )

    def train(self, params: LightGBMParams, data: Data, training: Training) -> BoostedTrees:
        """Fit. Raises `InvalidParams`, `InvalidData`, `Diverged`, `OutOfMemory`."""
        try:
            return self._train(params, data, training)
        except MemoryError as error:
            raise OutOfMemory from error

    def _train(self, params: LightGBMParams, data: Data, training: Training) -> BoostedTrees:
        check(data, params.early_stopping_rounds)
        table = Table.of(data)
        _check_metric(params, table)
        _draw_no_more_than_a_few(table, training)
        begins_again = _begins_again(params, data)
        rounds = Rounds(
            training,
            params.n_estimators,
            params.early_stopping_rounds,
            ".txt",
            goes_on=begins_again is None,
        )
        if begins_again:
            training.note(begins_again)
        training.world.agree("whether the table fits in memory", bool(data.beyond_memory))
        if data.beyond_memory:
            training.world.agree("the table", table)
            booster = fit_batches(
                self._estimator(params, table, rounds),
                data,
                table,
                training=training,
                weight=sample_weights(data, getattr(params, "class_weight", None)),
                after_round=_after_round(rounds),
            )
            return _fitted(booster, rounds.best, table, self.requirements)
        booster = rounds.resume(_load)
        training.world.agree("the table, or the checkpoint", table, rounds.done)
        if not rounds.exhausted:
            booster = self._trained(params, data, table, rounds, booster)
        return _fitted(booster, rounds.best, table, self.requirements)

    def _trained(
        self, params: LightGBMParams, data: Data, table: Table, rounds: Rounds, booster: Any
    ) -> Any:
        """Train on from the booster, or from nothing where it is None: the booster."""
        estimator, training = self._estimator(params, table, rounds), rounds.training
        if training.world.alone:
            self._fit(estimator, data, table, params, rounds=rounds, booster=booster)
            return estimator.booster_
        return fit_ranks(
            estimator,
            data,
            table,
            training=training,
            weight=sample_weights(data, getattr(params, "class_weight", None)),
            after_round=_after_round(rounds),
            booster=booster,
        )

    def needs_whole(self, params: LightGBMParams) -> str | None:
        """None: no table need be in memory, whatever the params."""
        del params
        return None

    def _estimator(self, params: LightGBMParams, table: Table, rounds: Rounds) -> Any:
        """The estimator for the rounds that are left."""
        settings = params.model_dump(exclude=set(NOT_FOR_ESTIMATOR), exclude_none=True)
        directions = monotone(table, params.monotone_constraints)
        if directions:
            settings["monotone_constraints"] = [
                directions.get(name, 0) for column in table.columns for name in column.safe_names
            ]
        return self.estimator(
            **settings,
            n_estimators=params.n_estimators - rounds.done,
            n_jobs=rounds.training.threads,
            random_state=rounds.training.seed,
            **(
                {"bagging_seed": rounds.seed, "feature_fraction_seed": rounds.seed}
                if rounds.done
                else {}
            ),
            verbosity=-1,
        )

    def _fit(  # noqa: PLR0913 - what a fit is of, and what it goes on from
        self,
        estimator: Any,
        data: Data,
        table: Table,
        params: LightGBMParams,
        *,
        rounds: Rounds,
        booster: Any,
    ) -> None:
        """Train on from the booster, or from nothing where it is None."""
        x, y = table.encode(data.frame), data.train.y
        eval_set, names, weights = list[Any](), list[str](), list[Any]()
        if rounds.training.watch_train:
            eval_set, names, weights = [(x, y)], ["train"], [None]
        if data.validation is not None and len(data.validation):
            eval_set.append((table.encode(data.validation.x), data.validation.y))
            weights.append(data.validation.weight)
            names.append("validation")
        self.fit(
            estimator,
            x,
            y,
            sample_weight=sample_weights(data, getattr(params, "class_weight", None)),
            eval_set=eval_set,
            eval_sample_weight=weights,
            eval_names=names,
            callbacks=[_after_round(rounds)],
            init_model=booster,
        )


def _begins_again(params: LightGBMParams, data: Data) -> str | None:
    """Why an interrupted training begins again; None where it goes on from its checkpoint."""
    if data.beyond_memory:
        return "LightGBM goes on from no checkpoint in batches: interrupted, it begins again"
    if params.boosting_type == "rf":
        return "LightGBM's random forest goes on from no checkpoint: interrupted, it begins again"
    return None


def _after_round(rounds: Rounds) -> Callable[[CallbackEnv], None]:
    alone = rounds.training.world.alone

    def after_round(env: CallbackEnv) -> None:
        scores: dict[str, dict[str, float]] = {}
        results: list[Any] = list(env.evaluation_result_list or ())
        for part, name, value, *_ in results:
            scores.setdefault(part, {})[name] = value if alone else float(f"{value:.{DIGITS}g}")
        if rounds.after(scores, lambda path: env.model.save_model(path, num_iteration=-1)):
            raise EarlyStopException((rounds.best or rounds.done) - 1, results)

    return after_round


def _draw_no_more_than_a_few(table: Table, training: Training) -> None:
    if len(table.columns) > MOST_DRAWN:
        training.note(
            f"MLflow's autologging is off for {len(table.columns)} columns, as it would draw them all; Trainyard logs params, metrics and the most important columns"
        )
        mlflow.lightgbm.autolog(disable=True, silent=True)


def _check_metric(params: LightGBMParams, table: Table) -> None:
    if not isinstance(params, ClassifierParams) or params.metric is None or table.classes is None:
        return
    many = len(table.classes) > 2
    allowed = (
        {"multi_logloss", "multi_error", "auc_mu"}
        if many
        else {"binary_logloss", "binary_error", "auc", "average_precision"}
    )
    if params.metric not in allowed:
        raise InvalidParams(
            f"metric {params.metric!r} does not fit {len(table.classes)} classes; use one of {', '.join(sorted(allowed))}"
        )


def _load(path: str) -> tuple[Any, int]:
    booster = lightgbm.Booster(model_file=path)
    return booster, booster.current_iteration()


def _fitted(
    booster: Any, best: int | None, table: Table, requirements: tuple[str, ...]
) -> BoostedTrees:
    keep = best or -1
    gains = booster.feature_importance(importance_type="gain", iteration=keep)
    return BoostedTrees(
        table,
        "lightgbm",
        lambda encoded: booster.predict(encoded, num_iteration=keep),
        lambda path: booster.save_model(path, num_iteration=keep),
        dict(zip(booster.feature_name(), gains.tolist(), strict=True)),
        requirements,
    )


classifier = LightGBM(
    name="lightgbm_classifier",
    task=Task.CLASSIFICATION,
    params=ClassifierParams,
    estimator=lightgbm.LGBMClassifier,
    fit=lightgbm.LGBMClassifier.fit,
    description="LightGBM classifier: strings as native categories, missing values as they are",
    example={
        "model": "lightgbm_classifier",
        "params": {"n_estimators": 300, "learning_rate": 0.05, "early_stopping_rounds": 20},
        "data": {"source": "builtin", "name": "breast_cancer"},
    },
)
regressor = LightGBM(
    name="lightgbm_regressor",
    task=Task.REGRESSION,
    params=RegressorParams,
    estimator=lightgbm.LGBMRegressor,
    fit=lightgbm.LGBMRegressor.fit,
    description="LightGBM regressor: strings as native categories, missing values as they are",
    example={
        "model": "lightgbm_regressor",
        "params": {"n_estimators": 300, "learning_rate": 0.05, "early_stopping_rounds": 20},
        "data": {"source": "builtin", "name": "diabetes"},
    },
)
