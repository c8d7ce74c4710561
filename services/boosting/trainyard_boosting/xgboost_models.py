"""XGBoost on tables: `xgboost_classifier` and `xgboost_regressor`.

Defaults are the library's: https://xgboost.readthedocs.io/en/release_3.2.0/parameter.html.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self

import mlflow.xgboost
import pandas as pd
import xgboost
from pydantic import Field, model_validator
from trainyard.contract import Task
from trainyard.errors import InvalidParams, OutOfMemory
from trainyard.trainer import Data, DataKind, Params, Part, Training

from trainyard_boosting._batches import ALONE, XGBoostBatches
from trainyard_boosting._fitting import (
    NOT_FOR_ESTIMATOR,
    check,
    monotone,
    sample_weights,
)
from trainyard_boosting._matrices import Matrices, Rows, table_of
from trainyard_boosting._predictor import AtHand, BoostedTrees, installed, pinned
from trainyard_boosting._rounds import Rounds
from trainyard_boosting._tables import Table
from trainyard_boosting._xgboost_ranks import together

FRAMEWORK = installed("xgboost-cpu", "xgboost")
SEARCH_SPACE: Mapping[str, Any] = {
    "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
    "n_estimators": {"low": 50, "high": 500, "step": 50},
    "max_depth": {"low": 2, "high": 10},
    "min_child_weight": {"low": 0.1, "high": 20.0, "log": True},
    "subsample": {"low": 0.5, "high": 1.0},
    "colsample_bytree": {"low": 0.4, "high": 1.0},
    "reg_lambda": {"low": 0.001, "high": 30.0, "log": True},
}
"""What a search tries where it is not told a space."""


class XGBoostParams(Params):
    """What classifier and regressor share."""

    n_estimators: int = Field(100, ge=1, le=100_000, description="Boosting rounds")
    max_depth: int = Field(6, ge=0, le=64, description="Depth of a tree; 0 for no limit")
    learning_rate: float = Field(0.3, gt=0, le=1, description="Shrinkage of each round")
    booster: Literal["gbtree", "dart"] = Field("gbtree", description="Trees, or trees with dropout")
    rate_drop: float = Field(
        0.1, ge=0, le=1, description="Share of the trees that dart drops in a round"
    )
    skip_drop: float = Field(
        0.5, ge=0, le=1, description="Share of the rounds in which dart drops none"
    )
    tree_method: Literal["auto", "hist", "approx", "exact"] = Field(
        "auto", description="How splits are found; auto is hist"
    )
    grow_policy: Literal["depthwise", "lossguide"] = Field(
        "depthwise", description="Where a tree grows next"
    )
    max_leaves: int = Field(0, ge=0, le=1_000_000, description="Leaves of a tree; 0 for no limit")
    max_bin: int = Field(256, ge=2, le=65_536, description="Bins of a numeric column")
    min_child_weight: float = Field(1.0, ge=0, description="Least sum of hessians in a leaf")
    gamma: float = Field(0.0, ge=0, description="Least loss reduction of a split")
    max_delta_step: float = Field(0.0, ge=0, description="Largest step of a leaf; 0 for no limit")
    subsample: float = Field(1.0, gt=0, le=1, description="Share of rows a round")
    colsample_bytree: float = Field(1.0, gt=0, le=1, description="Share of columns a tree")
    colsample_bylevel: float = Field(1.0, gt=0, le=1, description="Share of columns a level")
    colsample_bynode: float = Field(1.0, gt=0, le=1, description="Share of columns a split")
    reg_alpha: float = Field(0.0, ge=0, description="L1 penalty on leaves")
    reg_lambda: float = Field(1.0, ge=0, description="L2 penalty on leaves")
    max_cat_to_onehot: int = Field(
        4, ge=1, description="Columns with fewer categories are split one against the rest"
    )
    max_cat_threshold: int = Field(64, ge=1, description="Most categories on one side of a split")
    monotone_constraints: dict[str, Literal[-1, 0, 1]] | None = Field(
        None, description="Column to -1 falling, 0 free, 1 rising"
    )
    early_stopping_rounds: int | None = Field(
        None, ge=1, description="Stop after so many rounds without a better validation metric"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.tree_method == "exact" and (
            self.max_depth == 0 or self.grow_policy == "lossguide" or self.max_leaves
        ):
            raise ValueError(
                "tree_method 'exact' needs max_depth above 0, grow_policy 'depthwise' and max_leaves 0; use 'hist'"
            )
        if self.booster == "dart" and self.early_stopping_rounds:
            raise ValueError(
                "booster 'dart' changes earlier trees, so early_stopping_rounds cannot be used with it"
            )
        if self.max_depth == 0 and self.max_leaves == 0 and self.grow_policy == "lossguide":
            raise ValueError(
                "max_depth 0 with grow_policy 'lossguide' grows without end; set max_leaves"
            )
        return self


class ClassifierParams(XGBoostParams):
    """Hyperparameters of `XGBClassifier`, by its names."""

    scale_pos_weight: float = Field(1.0, gt=0, description="Weight of the second class of two")
    class_weight: Literal["balanced"] | dict[str, float] | None = Field(
        None, description="'balanced', or label to weight, 1 for those not named"
    )
    eval_metric: Literal["logloss", "mlogloss", "auc", "aucpr", "error", "merror"] | None = Field(
        None,
        description="Metric a round; logloss, or mlogloss for more than two classes, by default",
    )


class RegressorParams(XGBoostParams):
    """Hyperparameters of `XGBRegressor`, by its names."""

    objective: Literal["reg:squarederror", "reg:absoluteerror"] = Field(
        "reg:squarederror", description="What is minimised"
    )
    eval_metric: Literal["rmse", "mae", "mape"] | None = Field(
        None, description="Metric a round; the objective's own by default"
    )


class AfterRound(xgboost.callback.TrainingCallback):  # type: ignore[misc,unused-ignore] # typed in parts only
    """Hands each round to `Rounds`."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Whether to stop."""
        del epoch
        scores = {
            part: {name: values[-1] for name, values in metrics.items()}
            for part, metrics in evals_log.items()
        }
        return self._rounds.after(scores, model.save_model)


@dataclass(frozen=True)
class XGBoost:
    """A `trainyard.trainer.Trainer`."""

    name: str
    task: Task
    params: type[XGBoostParams]
    estimator: type[Any]
    description: str
    example: dict[str, Any]
    framework: str = FRAMEWORK
    requirements: tuple[str, ...] = pinned(FRAMEWORK)
    """What a logged model needs."""
    data: tuple[DataKind, ...] = ("table",)
    distributed: bool = True
    distributed_in_batches: bool = True
    search_space: Mapping[str, Any] = field(default_factory=lambda: SEARCH_SPACE)

    def autolog(self) -> None:
        mlflow.xgboost.autolog(
            importance_types=[],
            log_input_examples=False,
            log_models=False,
            log_datasets=False,
            silent=True,
        )

    def train(self, params: XGBoostParams, data: Data, training: Training) -> BoostedTrees:
        """Fit. Raises `InvalidParams`, `InvalidData`, `Diverged`, `OutOfMemory`."""
        try:
            return self._train(params, data, training)
        except MemoryError as error:
            raise OutOfMemory from error

    def _train(self, params: XGBoostParams, data: Data, training: Training) -> BoostedTrees:
        check(data, params.early_stopping_rounds)
        table = table_of(data)
        _check_combination(params, table)
        rounds = Rounds(training, params.n_estimators, params.early_stopping_rounds, ".ubj")
        booster, validation = rounds.resume(_load), None
        training.world.agree("the table, or the checkpoint", table, rounds.done)
        training.world.agree("whether the table fits in memory", bool(data.beyond_memory))
        if not rounds.exhausted:
            with together(training.world):
                booster, validation = self._fit(params, data, table, rounds, booster)
            training.said_alike(booster.save_raw())
        kept = booster if rounds.best is None else booster[: rounds.best]
        at_hand = None
        if validation is not None and data.validation is not None and not data.beyond_memory:
            at_hand = AtHand(data.validation.x, partial(kept.predict, validation))
        return _fitted(kept, table, self.requirements, at_hand)

    def _estimator(self, params: XGBoostParams, table: Table, rounds: Rounds) -> Any:
        """The estimator for the rounds that are left."""
        left_out = set(NOT_FOR_ESTIMATOR)
        if table.classes is not None and len(table.classes) > 2:
            left_out.add("scale_pos_weight")
        if params.booster != "dart":
            left_out |= {"rate_drop", "skip_drop"}
        return self.estimator(
            **params.model_dump(exclude=left_out),
            n_estimators=params.n_estimators - rounds.done,
            monotone_constraints=monotone(table, params.monotone_constraints),
            enable_categorical=params.tree_method != "exact",
            n_jobs=rounds.training.threads,
            random_state=rounds.seed,
            callbacks=[AfterRound(rounds)],
        )

    def prepare(self, params: XGBoostParams, data: Data) -> Matrices | None:
        """What trainings on these rows share, made on one thread; None where each bins batch by batch."""
        if data.beyond_memory:
            return None
        return Matrices.of(data, Table.of(data), _rows(params), threads=1)

    def _fit(
        self, params: XGBoostParams, data: Data, table: Table, rounds: Rounds, booster: Any
    ) -> tuple[Any, xgboost.DMatrix | None]:
        """Train on from the booster, or from nothing where it is None: the booster, and the validation rows."""
        estimator = self._estimator(params, table, rounds)
        settings = estimator.get_xgb_params()
        if table.classes is not None and len(table.classes) > 2:
            settings |= {"objective": "multi:softprob", "num_class": len(table.classes)}
        if data.beyond_memory:
            train, validation = _binned_in_batches(data, table, params, rounds.training)
        else:
            made = Matrices.of(
                data,
                table,
                _rows(params),
                threads=rounds.training.threads,
                world=rounds.training.world,
            )
            train, validation = made.train, made.validation
        watched = [(train, "train")] if rounds.training.watch_train else []
        if validation is not None:
            watched.append((validation, "validation"))
        trained = xgboost.train(
            settings,
            train,
            estimator.n_estimators,
            evals=watched,
            callbacks=estimator.callbacks,
            xgb_model=booster,
            verbose_eval=False,
        )
        return trained, validation

    def needs_whole(self, params: XGBoostParams) -> str | None:
        """Why a table that does not fit in memory cannot be trained on; None where it can."""
        if params.tree_method in {"exact", "approx"}:
            return f"tree_method {params.tree_method!r} needs the whole table in memory, and 'hist' does not"
        if params.booster == "dart":
            return "booster 'dart' needs the whole table in memory, and 'gbtree' does not"
        return None

    def needs_one_process(self, params: XGBoostParams) -> str | None:
        """Why several processes cannot train it; None where they can."""
        if params.tree_method == "exact":
            return "tree_method 'exact' looks at all rows in one process, and 'hist' does not"
        return None


def _rows(params: XGBoostParams) -> Rows:
    return Rows(params.tree_method, params.max_bin, getattr(params, "class_weight", None))


def _binned_in_batches(
    data: Data, table: Table, params: XGBoostParams, training: Training
) -> tuple[xgboost.DMatrix, xgboost.DMatrix | None]:
    """The training rows and the validation rows, binned batch by batch into files; shared as in `Matrices`."""

    def binned(part: Part, weight: Any, ref: Any = None) -> Any:
        world = ALONE if ref is not None else training.world
        return xgboost.ExtMemQuantileDMatrix(
            XGBoostBatches(table, part, weight, world),
            max_bin=params.max_bin,
            nthread=training.threads,
            ref=ref,
            enable_categorical=True,
        )

    train = binned(data.train, sample_weights(data, getattr(params, "class_weight", None)))
    part = data.validation
    return train, binned(part, part.weight, train) if part is not None and len(part) else None


def _check_combination(params: XGBoostParams, table: Table) -> None:
    name = next((column.name for column in table.columns if column.categories), None)
    if params.tree_method == "exact" and name is not None:
        raise InvalidParams(
            f"tree_method 'exact' cannot split categories, and {name!r} holds some; use 'hist' or 'approx'"
        )
    if (
        not isinstance(params, ClassifierParams)
        or params.eval_metric is None
        or table.classes is None
    ):
        return
    many = len(table.classes) > 2
    allowed = {"mlogloss", "merror", "auc"} if many else {"logloss", "error", "auc", "aucpr"}
    if params.eval_metric not in allowed:
        raise InvalidParams(
            f"eval_metric {params.eval_metric!r} does not fit {len(table.classes)} classes; use one of {', '.join(sorted(allowed))}"
        )


def _load(path: str) -> tuple[Any, int]:
    booster = xgboost.Booster(model_file=path)
    return booster, booster.num_boosted_rounds()


def _fitted(
    booster: Any, table: Table, requirements: tuple[str, ...], at_hand: AtHand | None
) -> BoostedTrees:
    def predict(encoded: pd.DataFrame) -> Any:
        return booster.predict(xgboost.DMatrix(encoded, enable_categorical=True))

    importance = booster.get_score(importance_type="total_gain")
    return BoostedTrees(
        table, "xgboost", predict, booster.save_model, importance, requirements, at_hand
    )


classifier = XGBoost(
    name="xgboost_classifier",
    task=Task.CLASSIFICATION,
    params=ClassifierParams,
    estimator=xgboost.XGBClassifier,
    description="XGBoost classifier: strings as native categories, missing values as they are",
    example={
        "model": "xgboost_classifier",
        "params": {"n_estimators": 300, "learning_rate": 0.1, "early_stopping_rounds": 20},
        "data": {"source": "builtin", "name": "breast_cancer"},
    },
)
regressor = XGBoost(
    name="xgboost_regressor",
    task=Task.REGRESSION,
    params=RegressorParams,
    estimator=xgboost.XGBRegressor,
    description="XGBoost regressor: strings as native categories, missing values as they are",
    example={
        "model": "xgboost_regressor",
        "params": {"n_estimators": 300, "learning_rate": 0.1, "early_stopping_rounds": 20},
        "data": {"source": "builtin", "name": "diabetes"},
    },
)
