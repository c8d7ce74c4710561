"""A model that scores: what it takes and answers, told by its files alone, and its predictions once it is loaded."""

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mlflow.models import Model
from mlflow.types import DataType
from packaging.requirements import InvalidRequirement, Requirement

from trainyard.contract import Task
from trainyard.datasets.tables.as_trained import Trained
from trainyard.worker.champion import (
    CannotScore,
    answered,
    as_it_takes_images,
    columns_needed,
    takes_method,
    trained_on,
)

Array = npt.NDArray[Any]
PYFUNC = "python_function"
BUILDS = ("", "-cpu", "-gpu", "-skinny")
"""What the name of a distribution may end in when it holds the same library."""
PACKAGES = {"pytorch": "torch", "sklearn": "sklearn", "spark": "pyspark"}
"""The package of a flavour, where it is called otherwise."""
REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True)
class About:
    """What a model's own description says: the columns it reads, None for images, and what it predicts.

    `task` is None where nothing tells: a model that Trainyard did not make, whose answers are taken as they come.
    """

    columns: tuple[str, ...] | None
    task: Task | None
    label_type: type | None
    """What the classes are: int, bool or str; None where it is no classification, or nothing tells."""


def about(description: Model) -> About:
    """What the description says. Raises `CannotScore` where it does not say what the model takes."""
    columns = columns_needed(description)
    classes = (description.metadata or {}).get("classes")
    if classes:
        return About(columns, Task.CLASSIFICATION, type(classes[0]))
    if not takes_method(description):
        return About(columns, None, None)
    schema = description.get_output_schema()
    types = schema.input_types() if schema is not None and not schema.is_tensor_spec() else []
    if types == [DataType.double]:
        return About(columns, Task.REGRESSION, None)
    label_types: dict[Any, type] = {DataType.long: int, DataType.boolean: bool}
    label_type = label_types.get(types[0] if types else None, str)
    return About(columns, Task.CLASSIFICATION, label_type)


def check_loadable(description: Model, requirements: Path | None) -> None:
    """Raise `CannotScore`, naming what is missing, where this environment cannot load the model. Runs none of its code."""
    flavor = description.flavors.get(PYFUNC)
    if flavor is None:
        known = ", ".join(sorted(description.flavors)) or "none"
        raise CannotScore(f"it has no {PYFUNC} flavor, by which models are loaded; it has {known}")
    loader = str(flavor.get("loader_module", ""))
    if not flavor.get("code") and not _is_here(loader):
        raise CannotScore(f"this service does not have the module {loader!r}, which loads it")
    for name in description.flavors:
        package = PACKAGES.get(name, name)
        if name != PYFUNC and _is_here(f"mlflow.{name}") and not _is_here(package):
            raise CannotScore(f"this service does not have {package!r}, which it needs")
    for name in _required(requirements):
        if not any(_is_installed(each) for each in _builds(name)):
            raise CannotScore(f"this service does not have {name!r}, which it needs")


@dataclass(frozen=True)
class Predicted:
    """Answers for some rows: values of (n,), or probabilities of (n, classes) with the classes that they are of."""

    values: Array
    labels: tuple[Any, ...] | None

    @property
    def prediction(self) -> Array:
        """A class a row, of the classes' own type, or the value."""
        if self.labels is None:
            return self.values
        kind = object if isinstance(self.labels[0], str) else None
        chosen: Array = np.array(self.labels, dtype=kind)[self.values.argmax(axis=1)]
        return chosen


class ScoredModel:
    """A loaded model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.about = about(model.metadata)

    @property
    def trained_on(self) -> Trained:
        """How it reads its columns; empty where it does not say."""
        return trained_on(self._model)

    def predict(self, x: Any) -> Predicted:
        """Its answers for a frame of raw columns, or for images. Raises `CannotScore`, and `MemoryError` as it is."""
        try:
            x = as_it_takes_images(self._model, x)
            if self.about.task is None:
                return Predicted(_plain_answer(self._model.predict(x), len(x)), None)
            answer, labels = answered(self._model, x, self.about.task)
            typed = None if labels is None else self._typed(labels)
        except (CannotScore, MemoryError):
            raise
        except Exception as error:  # whatever the model's code raises
            why = f"it fails on these rows ({type(error).__name__}: {error})"
            raise CannotScore(why) from error
        return Predicted(answer, typed)

    def _typed(self, labels: Sequence[str]) -> tuple[Any, ...]:
        """The classes as the data has them."""
        if self.about.label_type is bool:
            return tuple(label == "True" for label in labels)
        if self.about.label_type is int:
            return tuple(map(int, labels))
        return tuple(labels)


def _plain_answer(answer: Any, rows: int) -> Array:
    values = np.asarray(answer)
    if values.size != rows:
        raise CannotScore(f"it answers {values.shape} for {rows} rows, and not a value a row")
    return values.reshape(-1)


def _is_here(module: str) -> bool:
    try:
        return bool(module) and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _required(requirements: Path | None) -> list[str]:
    """The names in a requirements.txt that count on this machine, without options and addresses."""
    if requirements is None:
        return []
    lines = requirements.read_text(errors="replace").splitlines()
    lines = [line for line in lines if _counts(line.partition(" #")[0].rstrip(" \\"))]
    found = [REQUIREMENT.match(line) for line in lines if not line.lstrip().startswith(("-", "#"))]
    return [each[1] for each in found if each and "://" not in each.string.partition("#")[0]]


def _counts(line: str) -> bool:
    """Whether a requirement is one here: some are of other systems, or of other versions of Python."""
    try:
        marker = Requirement(line).marker
    except InvalidRequirement:
        return True
    return marker is None or marker.evaluate({"extra": ""})


def _builds(name: str) -> list[str]:
    stem = next((name.removesuffix(end) for end in BUILDS[1:] if name.endswith(end)), name)
    return [stem + end for end in BUILDS]


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
