"""What a training needs to know before the first round: weights, constraints, and that they fit the data."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.utils.class_weight import compute_sample_weight
from trainyard.contract import Task
from trainyard.errors import InvalidData, InvalidParams
from trainyard.trainer import Data

from trainyard_boosting._tables import Table

Weights = npt.NDArray[np.float64]
NOT_FOR_ESTIMATOR = frozenset(
    {"early_stopping_rounds", "class_weight", "monotone_constraints", "n_estimators"}
)
"""Params that are no argument of the estimators as they stand: they are carried out here, or handed on changed."""
ClassWeight = Literal["balanced"] | dict[str, float] | None


def check(data: Data, early_stopping_rounds: int | None) -> None:
    """Raise `InvalidParams` for early stopping without validation rows, `InvalidData` for a class never seen."""
    if early_stopping_rounds is not None and (data.validation is None or not len(data.validation)):
        raise InvalidParams(
            f"early_stopping_rounds is {early_stopping_rounds}, and there are no validation rows to watch; "
            "set split.validation_size above 0, or leave it out"
        )
    if data.task is Task.CLASSIFICATION and data.classes is not None:
        absent = set(range(len(data.classes))) - set(np.unique(data.train.y).tolist())
        if absent:
            names = ", ".join(repr(data.classes[index]) for index in sorted(absent)[:5])
            raise InvalidData(
                f"no training row has the class {names}; stratify the split, or leave the class out"
            )


def sample_weights(data: Data, class_weight: ClassWeight) -> Weights | None:
    """The training rows' own weights times those of their classes; None where neither is set."""
    by_class = _class_weights(data, class_weight)
    if by_class is None or data.train.weight is None:
        return data.train.weight if by_class is None else by_class
    return data.train.weight * by_class


def monotone(table: Table, constraints: Mapping[str, int] | None) -> dict[str, int] | None:
    """Constraints by the booster's own column names, of a date for the days that passed.

    Raises `InvalidParams` for a column that cannot have one.
    """
    if not constraints:
        return None
    columns = {column.name: column for column in table.columns}
    for name, direction in constraints.items():
        if name not in columns:
            raise InvalidParams(
                f"monotone_constraints names {name!r}, which is not a feature; there are {', '.join(list(columns)[:20])}"
            )
        if columns[name].categories is not None and direction:
            raise InvalidParams(
                f"monotone_constraints names {name!r}, which holds categories; only numbers have an order"
            )
    return {columns[name].safe_names[0]: direction for name, direction in constraints.items()}


def _class_weights(data: Data, class_weight: ClassWeight) -> Weights | None:
    if class_weight is None or data.classes is None:
        return None
    if class_weight == "balanced":
        return np.asarray(compute_sample_weight("balanced", data.train.y), dtype=np.float64)
    indices = {str(label): index for index, label in enumerate(data.classes)}
    unknown = [label for label in class_weight if label not in indices]
    if unknown:
        raise InvalidParams(
            f"class_weight names {unknown[0]!r}, which is not a class; there are {', '.join(list(indices)[:20])}"
        )
    by_index = np.ones(len(indices))
    for label, weight in class_weight.items():
        by_index[indices[label]] = weight
    weights: Any = by_index[data.train.y]
    return np.asarray(weights, dtype=np.float64)
