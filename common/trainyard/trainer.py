"""What a model is to Trainyard: a `Trainer`, what it is given, what it gives back, and how it is found.

A model file holds one or more objects that satisfy `Trainer`, at module level; nothing is registered
by hand. Adding a model is adding such a file to a service's package or to `TRAINYARD_MODELS_PATH`.
"""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict

from trainyard.contract import DataKind as DataKind  # noqa: PLC0414 - models have it from here
from trainyard.contract import ModelInfo, Task
from trainyard.world import World


class Params(BaseModel):
    """Base of every model's hyperparameters: strict, frozen, unknown ones refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Part:
    """Rows of one split.

    `x`: a frame of (n, columns) with the raw columns, strings and categories as pandas categoricals
    whose categories are those of the training part, dates as datetime64[us] without a zone (what the clock on
    the wall shows in the column's zone); or images, uint8 of (n, height, width, channels).
    `y`: int64 class indices of (n,), or float64 targets of (n,). `weight`: float64 of (n,), or None.
    """

    x: Any
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Data:
    """A data set, split. `validation` is None when the split asks for none."""

    kind: DataKind
    name: str
    source: str
    digest: str
    task: Task
    train: Part
    validation: Part | None
    test: Part
    target: str
    classes: tuple[Any, ...] | None = None
    """The labels that class indices stand for, sorted; None for regression."""
    profile: Mapping[str, Any] = field(default_factory=dict)
    """Shape, columns, and class balance or target range: logged with the run."""
    notations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Columns of numbers that are text in the table: the `pattern` of one such number and what to take out of it
    (`ignored`), both regular expressions, its `decimal` mark, and the text that counts as `missing`. A logged model
    reads them likewise, so that it predicts from the raw column."""
    dates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Columns of dates: the `zone` that a logged model reads them in, None where they have none; the `formats` of
    those that are text, and the text that counts as `missing`; the `origin` of elapsed days, and the `parts` that vary
    in the training rows. `trainyard.raw_columns.date_features` makes numbers of them."""
    warnings: tuple[str, ...] = ()
    """Sentences about the data that a person should read."""
    keys: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """What the rows of each part were divided by, one value a row: a number that grows with the time, or one a group.
    Empty where it was chance."""
    beyond_memory: str | None = None
    """A sentence, where the table does not fit in memory: the columns of each `Part.x` then lie in files, mapped into
    memory, and are to be taken in slices of rows. Only a trainer whose `needs_whole` gives None is given such data."""
    prepared: Any = None
    """What the trainer's own `prepare` made of these rows, for all trials of a search."""

    @property
    def frame(self) -> pd.DataFrame:
        """The training rows of a table."""
        if not isinstance(self.train.x, pd.DataFrame):
            message = f"{self.name} holds {self.kind}, not a table"
            raise TypeError(message)
        return self.train.x


@dataclass(frozen=True)
class Training:
    """What a `train` may use besides its params and data."""

    seed: int
    threads: int
    checkpoints: Path
    """A folder that outlives the process; the newest checkpoint in it is where a restarted run goes on."""
    report: Callable[..., None]
    """`report(done=, total=, unit=, metrics=, save=None)`: after each round or epoch. `metrics` maps names such as
    `train_log_loss` to values; they go to MLflow at step `done`. `save`, where given, is called to write a
    checkpoint once they are safe on disk. Raises `Interrupted` when the run is asked to stop; within a long
    round, a report of `done` so far without metrics does nothing else."""
    checkpoint_due: Callable[[], bool]
    """Whether it is time to save one: about every 15 seconds, and at once when the run is asked to stop."""
    halvings: int = 0
    """How often memory ran out in earlier processes of this run that asked for `halve_batch`: halve the batch as often."""
    watch_train: bool = True
    """Whether each round should measure the training rows too, where that takes an evaluation of its own: a trial of a
    search is judged by the validation rows alone."""
    note: Callable[[str], None] = print
    """Tell people something about the run: it goes to the log and into its transitions."""
    world: World = field(default_factory=World)
    """The processes that train this run together: where there are several, each calls `train` with all the data."""

    def said_alike(self, *model: Any) -> None:
        """Make sure that all ranks have trained this same model, and say so. Raises `RanksDiffer`."""
        if not self.world.alone:
            digest = self.world.agree("the trained model", *model)
            self.note(f"{self.world.size} workers hold the same model, sha256 {digest}")


class Interrupted(BaseException):
    """The run was asked to stop; raised by `Training.report`."""


@runtime_checkable
class Fitted(Protocol):
    """A trained model, ready to be tested and logged."""

    def predict(self, x: Any) -> npt.NDArray[np.float64]:
        """Class probabilities of (n, classes), or values of (n,), for rows like `Part.x`."""
        ...

    def feature_importance(self) -> Mapping[str, float] | None:
        """A number a feature, the larger the more important; None where that has no meaning."""
        ...

    def raw_example(self, x: Any) -> Any:
        """The first rows of `x` as callers of the logged model will send them."""
        ...

    def log_model(self, **arguments: Any) -> None:
        """Call the MLflow flavour's `log_model` with these: name, signature, input_example, metadata, and more."""
        ...


@runtime_checkable
class Trainer(Protocol):
    """A model that can be trained.

    It may have a `search_space` too: what a search tries that is told no space, in the words of a request's
    `search.space`. Also `needs_whole(params)`: None where it can train on data that is `beyond_memory`, else why not;
    `warnings_about(data)`: a list of sentences; and `prepare(params, data)`: what many trainings on the same data share,
    which `train` finds as `data.prepared` and takes if it fits its params. It must start no thread: a search forks
    its trials from the process that called it. With `distributed = True` its `train` may be called in several processes
    at once, which `training.world` tells of; `needs_one_process(params)` then says why not with such params, or None.
    With `distributed_in_batches = True` that holds for data `beyond_memory` too.
    """

    name: str
    task: Task
    data: tuple[DataKind, ...]
    framework: str
    """The installed distribution whose version is reported, such as `xgboost-cpu`."""
    description: str
    example: dict[str, Any]
    """A whole request that works when pasted."""

    @property
    def params(self) -> type[Params]:
        """The hyperparameters, typed, ranged, with defaults."""
        ...

    def autolog(self) -> None:
        """Switch on MLflow's autologging for the framework; called in the run's process."""
        ...

    def train(self, params: Any, data: Data, training: Training) -> Fitted:
        """Train. Raises a `RunError` for what the caller can mend; anything else is a crash."""
        ...


WHOLE = "this model needs the whole table in memory"


def needs_whole(trainer: Trainer, params: Params) -> str | None:
    """Why a model with these params cannot train on a table that does not fit in memory; None where it can."""
    own: Callable[[Params], str | None] | None = getattr(trainer, "needs_whole", None)
    return WHOLE if own is None else own(params)


def is_distributed(trainer: Trainer) -> bool:
    """Whether several processes may train it together."""
    return getattr(trainer, "distributed", False) is True


def shares_batches(trainer: Trainer) -> bool:
    """Whether several processes may train it together on a table that does not fit in memory."""
    return getattr(trainer, "distributed_in_batches", False) is True


def needs_one_process(trainer: Trainer, params: Params) -> str | None:
    """Why several processes cannot train a model with these params together; None where they can."""
    own: Callable[[Params], str | None] | None = getattr(trainer, "needs_one_process", None)
    return None if own is None else own(params)


def warnings_about(trainer: Trainer, data: Data) -> list[str]:
    """Sentences about what this model makes of the data that a person should read."""
    own: Callable[[Data], list[str]] | None = getattr(trainer, "warnings_about", None)
    return [] if own is None else own(data)


def prepared(trainer: Trainer, params: Params, data: Data) -> Data:
    """The data with what the trainer makes of it for trainings with params like these."""
    own: Callable[[Params, Data], Any] | None = getattr(trainer, "prepare", None)
    return data if own is None else replace(data, prepared=own(params, data))


@dataclass(frozen=True)
class Catalogue:
    """The models of a service by name, and the model files that did not load, with the reason."""

    trainers: Mapping[str, Trainer]
    broken: Mapping[str, str]


def load_catalogue(
    package: str,
    models_path: Path | None,
    *,
    limit: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Catalogue:
    """Import every model file of the service's package and of `models_path` (a folder, or None), these each within `limit`.

    A file that does not load, or that names a model anew, is left out and named in `broken`.
    """
    trainers: dict[str, Trainer] = {}
    broken: dict[str, str] = {}
    for origin, load in (*_in_package(package), *_in_folder(models_path, limit)):
        try:
            found = [value for value in vars(load()).values() if _is_trainer(value)]
        except BaseException as error:  # noqa: BLE001 - whatever a model file raises, also SystemExit, the others still load
            broken[origin] = f"{type(error).__name__}: {error}"
            continue
        if not found:
            broken[origin] = "holds no object that satisfies trainyard.trainer.Trainer"
        for trainer in found:
            if trainer.name in trainers and trainers[trainer.name] is not trainer:
                broken[origin] = f"the model {trainer.name!r} exists already"
            else:
                trainers[trainer.name] = trainer
    return Catalogue(trainers, broken)


def describe(trainer: Trainer) -> ModelInfo:
    """What `GET /models/{model}` answers."""
    return ModelInfo(
        name=trainer.name,
        task=trainer.task,
        framework=trainer.framework,
        framework_version=version(trainer.framework),
        description=trainer.description,
        data=list(trainer.data),
        distributed=is_distributed(trainer),
        params_schema=trainer.params.model_json_schema(),
        defaults=trainer.params().model_dump(mode="json"),
        example=trainer.example,
    )


def _is_trainer(value: object) -> bool:
    return not isinstance(value, type) and isinstance(value, Trainer)


def _in_package(package: str) -> Iterator[tuple[str, Callable[[], ModuleType]]]:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name != "main" and not module.name.startswith("_"):
            name = f"{package}.{module.name}"
            yield name, partial(importlib.import_module, name)


def _in_folder(
    folder: Path | None, limit: Callable[[], AbstractContextManager[None]]
) -> Iterator[tuple[str, Callable[[], ModuleType]]]:
    def load(path: Path) -> ModuleType:
        with limit():
            return _import_file(path)

    for path in sorted(folder.glob("*.py")) if folder else ():
        if not path.name.startswith("_"):
            yield str(path), partial(load, path)


def _import_file(path: Path) -> ModuleType:
    name = f"trainyard_models.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = f"{path} cannot be imported"
        raise ImportError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
