"""LightGBM on a table that does not fit in memory: binned from batches of rows, a byte a value."""

from collections.abc import Callable
from typing import Any

import lightgbm
from trainyard.trainer import Data, Part, Training
from trainyard.world import World

from trainyard_boosting._batches import ALONE, LightGBMBatches, rows_at_once
from trainyard_boosting._fitting import Weights
from trainyard_boosting._lightgbm_ranks import network_of, of_all_ranks
from trainyard_boosting._lightgbm_settings import boosted, settings_of
from trainyard_boosting._tables import Table

FEWEST_SAMPLED = 20_000
"""Rows that bins are made from at least; they are held as float64, twice."""


def fit_batches(  # noqa: PLR0913 - what a fit is of
    estimator: Any,
    data: Data,
    table: Table,
    *,
    training: Training,
    weight: Weights | None,
    after_round: Callable[[Any], None],
) -> Any:
    """As the estimator's `fit`, with `weight` of the training rows, or `fit_ranks`: the booster, the same on each rank."""
    world, part = training.world, data.validation
    settings = _settings(estimator, table) | network_of(world)
    train = _binned(table, data.train, weight, settings, world=world)
    validation = None
    if part is not None and len(part):
        validation = _binned(table, part, part.weight, settings, reference=train)
    booster = boosted(estimator, settings, train, validation, after_round=after_round)
    return booster if world.alone else of_all_ranks(booster, training)


def _settings(estimator: Any, table: Table) -> dict[str, Any]:
    """As the library takes them, for fewer rows in memory."""
    settings = settings_of(estimator, table)
    sampled = max(FEWEST_SAMPLED, rows_at_once(len(table.columns)))
    return settings | {
        "force_col_wise": True,  # by rows it holds all bins once more
        "subsample_for_bin": min(settings["subsample_for_bin"], sampled),
    }


def _binned(  # noqa: PLR0913 - a part, and how it is binned
    table: Table,
    part: Part,
    weight: Weights | None,
    settings: dict[str, Any],
    *,
    reference: Any = None,
    world: World = ALONE,
) -> Any:
    """The rank's rows of the part as LightGBM's own; what it holds for pandas lets the booster predict from frames."""
    names = [name for column in table.columns for name in column.safe_names]
    categories = [column for column in table.columns if column.categories]
    binned = lightgbm.Dataset(
        LightGBMBatches(table, part, world),
        label=world.rows(part.y),
        weight=None if weight is None else world.rows(weight),
        reference=reference,
        feature_name=names,
        categorical_feature=[column.safe_name for column in categories],
        params=dict(settings),
    )
    binned.pandas_categorical = [list(range(len(each.categories or ()))) for each in categories]
    return binned
