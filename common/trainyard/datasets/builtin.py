"""Data sets by name: scikit-learn's own, and MNIST and Fashion-MNIST from the data directory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from trainyard.contract import BuiltinData, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.images import idx_folder, mnist
from trainyard.datasets.images.pictures import Labelled, divided, labelled
from trainyard.datasets.tables.assemble import Origin, columns_of, tabulate
from trainyard.datasets.tables.selection import Selection
from trainyard.errors import InvalidData
from trainyard.suggestions import suggestion
from trainyard.trainer import Data, DataKind


@dataclass(frozen=True)
class Builtin:
    """What a data set can be used for."""

    task: Task
    kinds: tuple[DataKind, ...]


TARGET = "target"
BUILTINS = {
    "breast_cancer": Builtin(Task.CLASSIFICATION, ("table",)),
    "wine": Builtin(Task.CLASSIFICATION, ("table",)),
    "iris": Builtin(Task.CLASSIFICATION, ("table",)),
    "digits": Builtin(Task.CLASSIFICATION, ("table", "images")),
    "diabetes": Builtin(Task.REGRESSION, ("table",)),
    "mnist": Builtin(Task.CLASSIFICATION, ("images",)),
    "fashion_mnist": Builtin(Task.CLASSIFICATION, ("images",)),
}


def load_builtin(
    spec: BuiltinData, split: Split, *, task: Task, kinds: Sequence[DataKind], access: DataAccess
) -> Data:
    """Load and split; `digits` as a table where the model takes tables. Raises `InvalidData`."""
    kind = usable(spec.name, task, kinds)
    origin = Origin(spec.name, f"builtin:{spec.name}")
    if kind == "table":
        table = builtin_table(spec.name)
        features = tuple(name for name in table.column_names if name != TARGET)
        return tabulate(
            columns_of(table), Selection(features, TARGET), split, task=task, origin=origin
        )
    train, test = builtin_images(spec.name, access)
    return divided(train, test, split, name=origin.name, source=origin.source)


def builtin_table(name: str) -> pa.Table:
    """The whole table, its target in the column `TARGET`."""
    from sklearn import datasets

    loaders: dict[str, Callable[..., Any]] = {
        "breast_cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "iris": datasets.load_iris,
        "digits": datasets.load_digits,
        "diabetes": datasets.load_diabetes,
    }
    return pa.Table.from_pandas(loaders[name](as_frame=True).frame, preserve_index=False)


def builtin_images(name: str, access: DataAccess) -> tuple[Labelled, Labelled | None]:
    """The training images, and the test images where they are apart."""
    if name == "digits":
        return _digits(), None
    return labelled(idx_folder.read(mnist.fetched(name, access)))


def inspect_builtin(
    spec: BuiltinData, *, task: Task, kinds: Sequence[DataKind], access: DataAccess
) -> None:
    """Check the name, the fit, and files that are there already; fetches nothing. Raises `InvalidData`."""
    if (
        usable(spec.name, task, kinds) == "images"
        and spec.name in mnist.NAMES
        and not mnist.absent(spec.name, access)
    ):
        idx_folder.check(mnist.location(spec.name, access))


def known(name: str) -> Builtin:
    """What the data set can be used for. Raises `InvalidData`."""
    if name not in BUILTINS:
        hint = suggestion(name, BUILTINS, otherwise="there are")
        raise InvalidData(f"{name!r} is not a builtin data set; {hint}", "/data/name")
    return BUILTINS[name]


def usable(name: str, task: Task, kinds: Sequence[DataKind]) -> DataKind:
    """The kind in which a model of this task and these kinds gets the data set. Raises `InvalidData`."""
    builtin = known(name)
    if builtin.task is not task:
        raise InvalidData(
            f"{name!r} is for {builtin.task}, and this model does {task}", "/data/name"
        )
    for kind in ("table", "images"):
        if kind in kinds and kind in builtin.kinds:
            return kind
    raise InvalidData(
        f"{name!r} comes as {' or '.join(builtin.kinds)}, and this model takes {' or '.join(kinds)}",
        "/data/name",
    )


def _digits() -> Labelled:
    from sklearn.datasets import load_digits

    digits = load_digits()
    sixteen_greys = digits.images[..., np.newaxis]
    return Labelled(np.rint(sixteen_greys * (255 / 16)).astype(np.uint8), digits.target)
