"""The model that holds an alias, asked for its predictions of a run's test rows through `mlflow.pyfunc`.

It may be of another framework, trained on other columns, or logged by somebody else, so nothing about it is taken
for granted: `CannotScore` says in words why it cannot be compared.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.types.schema import AnyType

from trainyard import raw_columns
from trainyard.contract import Task
from trainyard.datasets.tables.as_trained import Trained

Array = npt.NDArray[Any]
LONGEST_REASON = 300
ROWS_AT_ONCE = 65_536
IMAGES_AT_ONCE = 512
"""A network may hold a hundred numbers for each pixel while it looks at an image."""


class CannotScore(Exception):
    """The model cannot be compared on these rows; the text says why."""

    def __init__(self, why: str) -> None:
        super().__init__(" ".join(why.split())[:LONGEST_REASON])


def columns_needed(description: Any) -> tuple[str, ...] | None:
    """The columns that a model reads, by its `mlflow.models.Model`; None for a model of tensors, such as images."""
    schema = description.get_input_schema()
    if schema is None:
        raise CannotScore("its signature does not say what it takes")
    return None if schema.is_tensor_spec() else tuple(map(str, schema.input_names()))


def check_columns(needed: Sequence[str], there: Collection[str]) -> None:
    """Raise `CannotScore` for the first column that the data does not have: models read it as missing, without a word."""
    gone = [name for name in needed if name not in there]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise CannotScore(f"the data has no column {gone[0]!r}{more}, which it needs")


def predictions(model: Any, x: Any, task: Task, classes: Sequence[Any] | None) -> Array:
    """Probabilities of (n, classes), in the order of `classes`, or values of (n,), for raw rows.

    `x`: a frame of raw columns, or images of (n, height, width, channels). Raises `CannotScore`.
    """
    x = as_it_takes_images(model, x)
    at_once = ROWS_AT_ONCE if isinstance(x, pd.DataFrame) else IMAGES_AT_ONCE
    try:
        parts = [
            _answer(model, x[start : start + at_once], task, classes)
            for start in range(0, len(x), at_once)
        ]
    except CannotScore:
        raise
    except Exception as error:  # whatever the model's code raises
        raise CannotScore(f"it fails on these rows ({type(error).__name__}: {error})") from error
    return np.concatenate(parts)


def as_it_takes_images(model: Any, x: Any) -> Any:
    """Grey images without their channel, where the model takes (n, height, width)."""
    if isinstance(x, pd.DataFrame):
        return x
    dimensions = {len(each.shape) for each in model.metadata.get_input_schema().inputs}
    return x[..., 0] if x.shape[-1] == 1 and dimensions == {x.ndim - 1} else x


def _answer(model: Any, x: Any, task: Task, classes: Sequence[Any] | None) -> Array:
    answer, labels = answered(model, x, task)
    return answer if labels is None else aligned(answer, labels, classes or ())


def answered(model: Any, x: Any, task: Task) -> tuple[Array, list[str] | None]:
    """Values of (n,) and None, or probabilities of (n, labels) and the labels, as the model names them."""
    if task is Task.REGRESSION:
        values = np.asarray(_asked(model, x), dtype=np.float64)
        if values.size != len(x):
            raise CannotScore(f"it answers {values.shape} for {len(x)} rows, and not a value a row")
        return _finite(values.reshape(-1)), None
    by_method = takes_method(model.metadata)
    answer = _asked(model, x, params={"method": "predict_proba"} if by_method else None)
    labels = _labels(model, answer)
    return _shares(_finite(np.asarray(answer, dtype=np.float64)), len(x)), labels


def _asked(model: Any, x: Any, params: dict[str, Any] | None = None) -> Any:
    """What the model answers.

    A model of Trainyard's that takes a table takes any value, and checks the rows itself. MLflow would look at each
    value before, one by one in Python, only to let it pass: 97% of the time of a scoring. So its code is asked directly.
    """
    if isinstance(x, pd.DataFrame) and checks_rows_itself(model.metadata):
        return model.unwrap_python_model().predict(None, x, params)
    return model.predict(x, params=params)


def checks_rows_itself(description: Any) -> bool:
    """Whether a model, by its `mlflow.models.Model`, is one of Trainyard's for tables."""
    flavor = description.flavors.get("python_function") or {}
    schema = description.get_input_schema()
    return (
        "preprocessing" in (flavor.get("artifacts") or ())
        and takes_method(description)
        and schema is not None
        and not schema.is_tensor_spec()
        and all(isinstance(each.type, AnyType) for each in schema.inputs)
    )


def trained_on(model: Any) -> Trained:
    """How the model reads its columns, as its `preprocessing.json` says; empty where it is none of Trainyard's for tables."""
    if not checks_rows_itself(model.metadata):
        return ()
    return tuple(model.unwrap_python_model().about["columns"])


def takes_method(description: Any) -> bool:
    """Whether a model, by its `mlflow.models.Model`, can be asked for probabilities, as those of Trainyard can."""
    params = description.get_params_schema()
    return params is not None and any(each.name == "method" for each in params.params)


def _labels(model: Any, answer: Any) -> list[str]:
    """The class of each column of an answer. Raises `CannotScore` for an answer that is no probabilities."""
    if isinstance(answer, pd.DataFrame):
        return [str(name) for name in answer.columns]
    named = (model.metadata.metadata or {}).get("classes")
    shape = np.shape(answer)
    if named is None or len(shape) != 2 or shape[1] != len(named):
        raise CannotScore("it gives no probability for each class")
    return [str(label) for label in named]


def places(classes: Sequence[Any], labels: Sequence[Any]) -> Array:
    """The place of each class among a model's labels, -1 where it has none: (n,). 1, "1" and true may be one, as in a feature."""
    return raw_columns.codes(pd.Series([*classes], dtype=object), labels)


def aligned(answer: Array, labels: Sequence[str], classes: Sequence[Any]) -> Array:
    """The answer's columns in the order of `classes`: 0 for a class it does not know, and what it gives to others left out."""
    known = places(classes, labels)
    if (known < 0).all():
        raise CannotScore(f"it knows none of the classes {', '.join(map(str, classes[:5]))}")
    aligned = np.column_stack(
        [np.zeros(len(answer)) if place < 0 else answer[:, place] for place in known]
    )
    lost = aligned.sum(axis=1) <= 0
    aligned[lost] = 1 / len(classes)
    return aligned


def _shares(answer: Array, rows: int) -> Array:
    if len(answer) != rows:
        raise CannotScore(f"it answers for {len(answer)} of {rows} rows")
    if answer.min(initial=0) < 0:
        raise CannotScore(f"it answers with {answer.min():.5g}, which is no probability")
    return answer


def _finite(answer: Array) -> Array:
    if not np.isfinite(answer).all():
        raise CannotScore("it answers with values that are no numbers")
    return answer
