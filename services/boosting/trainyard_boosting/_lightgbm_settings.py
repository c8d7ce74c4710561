"""A LightGBM estimator as `lightgbm.train` takes it: its settings, and the sets that it looks at in each round."""

from collections.abc import Callable
from typing import Any

import lightgbm

from trainyard_boosting._tables import Table

ESTIMATORS_OWN = frozenset({"n_estimators", "importance_type", "class_weight", "objective"})
NAMES = {"random_state": "seed", "n_jobs": "num_threads"}
"""The estimator's words, in those of the library."""


def settings_of(estimator: Any, table: Table) -> dict[str, Any]:
    """As the library takes them, with the estimator's objective where it has none of its own."""
    settings = {
        NAMES.get(name, name): value
        for name, value in estimator.get_params().items()
        if value is not None and name not in ESTIMATORS_OWN
    }
    if table.classes is None:
        return settings | {"objective": estimator.objective or "regression"}
    if len(table.classes) > 2:
        return settings | {"objective": "multiclass", "num_class": len(table.classes)}
    return settings | {"objective": "binary"}


def boosted(  # noqa: PLR0913 - what a training is made of
    estimator: Any,
    settings: dict[str, Any],
    train: Any,
    validation: Any,
    *,
    after_round: Callable[[Any], None],
    booster: Any = None,
) -> Any:
    """As many rounds as the estimator has, from the booster or from nothing: the booster. `validation` may be None."""
    watched = {"train": train} | ({} if validation is None else {"validation": validation})
    return lightgbm.train(
        settings,
        train,
        estimator.n_estimators,
        valid_sets=[*watched.values()],
        valid_names=[*watched],
        callbacks=[after_round],
        init_model=booster,
    )
