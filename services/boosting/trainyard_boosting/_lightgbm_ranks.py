"""LightGBM over several ranks, data-parallel: each bins and counts its own rows, and all grow the same trees."""

import math
import re
from collections.abc import Callable
from typing import Any

import lightgbm
from trainyard.trainer import Data, Part, Training
from trainyard.world import World

from trainyard_boosting._fitting import Weights
from trainyard_boosting._lightgbm_settings import boosted, settings_of
from trainyard_boosting._tables import Table

OF_ONE_TRAINING = re.compile(
    r"^\[(?:machines|machine_list_file|local_listen_port|num_machines|time_out): .*\]\n",
    re.MULTILINE,
)
"""What a booster writes down of the ranks: their addresses, which are nobody's business, and one rank's own port."""


def fit_ranks(  # noqa: PLR0913 - what a fit is of, and what it goes on from
    estimator: Any,
    data: Data,
    table: Table,
    *,
    training: Training,
    weight: Weights | None,
    after_round: Callable[[Any], None],
    booster: Any,
) -> Any:
    """As the estimator's `fit` on all ranks' rows, from the booster or from nothing: the booster, the same on each.

    Each rank has all validation rows, so that early stopping falls in the same round; the metric of the training rows
    is that of its own. LightGBM's collectives wait for whole minutes.
    """
    world = training.world
    settings = settings_of(estimator, table) | network_of(world)
    own = Part(
        world.rows(data.train.x),
        world.rows(data.train.y),
        None if weight is None else world.rows(weight),
    )
    train = _binned(table, own, settings)
    validation = None
    if data.validation is not None and len(data.validation):
        validation = _binned(table, data.validation, settings, reference=train)
    trained = boosted(
        estimator, settings, train, validation, after_round=after_round, booster=booster
    )
    return of_all_ranks(trained, training)


def of_all_ranks(trained: Any, training: Training) -> Any:
    """The booster without what is one rank's own, once all ranks have said that they have the same."""
    trained.free_network()
    text = OF_ONE_TRAINING.sub("", trained.model_to_string(num_iteration=-1))
    training.said_alike(text)
    return lightgbm.Booster(model_str=text)


def network_of(world: World) -> dict[str, Any]:
    """LightGBM's settings for ranks that each have rows of their own; none for one that is alone."""
    if world.alone:
        return {}
    addresses = world.addresses()
    return {
        "machines": ",".join(addresses),
        "num_machines": world.size,
        "local_listen_port": int(addresses[world.rank].rpartition(":")[2]),
        "time_out": math.ceil(world.timeout_seconds / 60),
        "tree_learner": "data",
        "pre_partition": True,
    }


def _binned(table: Table, part: Part, settings: dict[str, Any], reference: Any = None) -> Any:
    return lightgbm.Dataset(
        table.encode(part.x),
        label=part.y,
        weight=part.weight,
        reference=reference,
        params=dict(settings),
    )
