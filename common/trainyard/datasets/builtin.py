"""Data sets by name: scikit-learn's own, and MNIST and Fashion-MNIST from the data directory."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from trainyard.contract import BuiltinData, Split, Task
from trainyard.datasets import idxfolder, mnist
from trainyard.datasets.images import Labelled, divided
from trainyard.datasets.selection import Selection
from trainyard.datasets.tables import Origin, columns_of, tabulate
from trainyard.errors import InvalidData
from trainyard.settings import DataAccess
from trainyard.trainer import Data, DataKind


@dataclass(frozen=True)
class Builtin:
    """What a data set can be used for."""

    task: Task
    kinds: tuple[DataKind, ...]


BUILTINS = {
    "breast_cancer": Builtin(Task.CLASSIFICATION, ("table",)),
    "wine": Builtin(Task.CLASSIFICATION, ("table",)),
    "iris": Builtin(Task.CLASSIFICATION, ("table",)),
    "digits": Builtin(Task.CLASSIFICATION, ("table", "images")),
    "diabetes": Builtin(Task.REGRESSION, ("table",)),
    "mnist": Builtin(Task.CLASSIFICATION, ("images",)),
    "fashion_mnist": Builtin(Task.CLASSIFICATION, ("images",)),
}


def load_builtin(spec: BuiltinData, split: Split, *, task: Task, kinds: Sequence[DataKind], access: DataAccess) -> Data:
    """Load and split; `digits` as a table where the model takes tables. Raises `InvalidData`."""
    kind = usable(spec.name, task, kinds)
    if kind == "table":
        return _table(spec.name, split, task)
    if spec.name == "digits":
        return divided(_digits(), None, split, name="digits", source="builtin:digits")
    train, test = (Labelled(*each) for each in idxfolder.read(mnist.fetched(spec.name, access)))
    return divided(train, test, split, name=spec.name, source=f"builtin:{spec.name}")


def inspect_builtin(spec: BuiltinData, *, task: Task, kinds: Sequence[DataKind], access: DataAccess) -> None:
    """Check the name, the fit, and files that are there already; fetches nothing. Raises `InvalidData`."""
    if usable(spec.name, task, kinds) == "images" and spec.name in mnist.NAMES and not mnist.absent(spec.name, access):
        idxfolder.check(mnist.location(spec.name, access))


def usable(name: str, task: Task, kinds: Sequence[DataKind]) -> DataKind:
    """The kind in which a model of this task and these kinds gets the data set. Raises `InvalidData`."""
    if name not in BUILTINS:
        near = difflib.get_close_matches(name, BUILTINS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InvalidData(f"{name!r} is not a builtin data set; {hint}there are {', '.join(BUILTINS)}", "/data/name")
    builtin = BUILTINS[name]
    if builtin.task is not task:
        raise InvalidData(f"{name!r} is for {builtin.task}, and this model does {task}", "/data/name")
    for kind in ("table", "images"):
        if kind in kinds and kind in builtin.kinds:
            return kind
    raise InvalidData(f"{name!r} comes as {' or '.join(builtin.kinds)}, and this model takes {' or '.join(kinds)}", "/data/name")


def _table(name: str, split: Split, task: Task) -> Data:
    from sklearn import datasets

    loaders: dict[str, Callable[..., Any]] = {
        "breast_cancer": datasets.load_breast_cancer, "wine": datasets.load_wine, "iris": datasets.load_iris,
        "digits": datasets.load_digits, "diabetes": datasets.load_diabetes,
    }  # fmt: skip
    frame = loaders[name](as_frame=True).frame
    selection = Selection(tuple(frame.columns.drop("target")), "target")
    columns = columns_of(pa.Table.from_pandas(frame, preserve_index=False))
    return tabulate(columns, selection, split, task=task, origin=Origin(name, f"builtin:{name}"))


def _digits() -> Labelled:
    from sklearn.datasets import load_digits

    digits = load_digits()
    sixteen_greys = digits.images[..., np.newaxis]
    return Labelled(np.rint(sixteen_greys * (255 / 16)).astype(np.uint8), digits.target)
