"""A table's columns to the parts of `Data`, one column at a time, so that the table is never held twice."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from trainyard.contract import Split, Task
from trainyard.datasets import splitting
from trainyard.datasets.profile import profile
from trainyard.datasets.splitting import Key, Partition, Rows
from trainyard.datasets.tables import stored, strays, warned
from trainyard.datasets.tables.columns import numbers
from trainyard.datasets.tables.gathering import Columns, Features, gathered
from trainyard.datasets.tables.on_disk import ReadWhenAsked, place_for
from trainyard.datasets.tables.selection import Selection
from trainyard.datasets.tables.targets import check_target, labels, target_read
from trainyard.datasets.tables.weights import check_parts, check_weights, weight_read
from trainyard.errors import InvalidData
from trainyard.raw_columns import feature_names
from trainyard.trainer import Data, Part


@dataclass(frozen=True)
class Origin:
    """What a data set is called, where it came from, and how many of its last rows are set apart for the test."""

    name: str
    source: str
    test_rows: int = 0
    written: Mapping[str, Any] = field(default_factory=dict)
    """How the file is written, for the profile."""
    decimal: str = "."
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class AsRead:
    """A table's rows as they were read, before a model's features are made of them."""

    columns: Mapping[str, pa.ChunkedArray] | None
    """All but the target; None where they are not in memory."""
    y: npt.NDArray[Any]
    """Class indices or targets of (n,)."""
    classes: tuple[Any, ...] | None
    rows: Rows
    """Those that test."""
    key: Key | None
    are_apart: bool
    """Whether these are a table of their own."""


def columns_of(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """The columns by name. Drop `table` after this, so that each column's memory goes as it is used up."""
    return dict(zip(table.column_names, table.columns, strict=True))


def tabulate(  # noqa: PLR0913 - a table, and what it is for
    columns: Columns,
    selection: Selection,
    split: Split,
    *,
    task: Task,
    origin: Origin,
    key: Key | None = None,
    beyond_memory: str | None = None,
    keep: Callable[[AsRead], object] | None = None,
) -> Data:
    """Split and type a table, by `key` where it is given, else at random; `columns` are used up. Raises `InvalidData`.

    `x` of a part is a frame of (rows, features): numbers in the table's own dtype, strings and columns named categorical
    as categoricals whose sorted categories are the training part's. Where the table is `beyond_memory`, as a sentence
    says, what is made of it is kept in temporary files. `keep` is shown the table as it was read.
    """
    y, classes, partition, of_target = _divided_by(columns, selection, split, task, origin, key)
    parts = _shown(keep, columns, y, classes, partition.parts, key, origin)
    weight, of_weight = _weight(columns, selection, parts, y, classes, origin.decimal)
    digest = _digest_of(_stated(task, selection, origin, classes), y, weight, key)
    mark, kept = origin.decimal, place_for(beyond_memory)
    features = gathered(columns, selection, y, parts, digest.update, decimal=mark, kept=kept)
    said = _said(origin, [*of_target, *of_weight], features)
    described = features.described(parts) | {"left_out": selection.left_out, "warnings": said}
    told = _divided(key, split, partition) | dict(origin.written) | _dates(features)
    made = _made(features.frames, y, weight, parts)
    return Data(
        kind="table",
        name=origin.name,
        source=origin.source,
        digest=digest.hexdigest(),
        task=task,
        train=made["train"],
        validation=made.get("validation"),
        test=made["test"],
        target=selection.target,
        classes=classes,
        notations=features.notations,
        dates=features.dates,
        warnings=said,
        keys=key.of_parts(parts) if key else {},
        beyond_memory=beyond_memory,
        profile=profile(y, classes, **described) | told,
    )


def _shown(  # noqa: PLR0913, PLR0917 - what `tabulate` has
    keep: Callable[[AsRead], object] | None,
    columns: Columns,
    y: npt.NDArray[Any],
    classes: tuple[Any, ...] | None,
    parts: Mapping[str, Rows],
    key: Key | None,
    origin: Origin,
) -> Mapping[str, Rows]:
    """The parts, once whoever keeps the table was shown it."""
    if keep:
        held = None if isinstance(columns, ReadWhenAsked) else {**columns}
        keep(AsRead(held, y, classes, parts["test"], key, bool(origin.test_rows)))
    return parts


def _divided_by(  # noqa: PLR0913, PLR0917 - what `tabulate` has
    columns: Columns,
    selection: Selection,
    split: Split,
    task: Task,
    origin: Origin,
    key: Key | None,
) -> tuple[npt.NDArray[Any], tuple[Any, ...] | None, Partition, list[str]]:
    """The target, taken out of the columns: its values, its classes, the parts that it is divided into, what to read of it."""
    name = selection.target
    column = columns.pop(name)
    with strays.told(columns, name, column):
        target = target_read(column, name, task, decimal=origin.decimal)
        y, classes = target_of(target.column, name, task, origin.decimal)
        partition = partition_of(y, classes, split, origin, key)
    of_columns = warned.of_columns(selection, target.notation, y, classes)
    return y, classes, partition, [*filter(None, [stored.said(name, column.type)]), *of_columns]


def _said(origin: Origin, of_columns: Sequence[str], features: Features) -> tuple[str, ...]:
    """What a person should read."""
    return warned.bounded([*origin.warnings, *of_columns, *features.warnings])


def _divided(key: Key | None, split: Split, partition: Partition) -> dict[str, Any]:
    """What rows were divided by, for the profile."""
    return {} if key is None else {"split": splitting.profile(key, split, partition)}


def _dates(features: Features) -> dict[str, Any]:
    """What was made of each date, for the profile."""
    made = {
        name: {"features": feature_names(about), "since": about["origin"], "zone": about["zone"]}
        for name, about in features.dates.items()
    }
    return {"dates": made} if made else {}


def _weight(  # noqa: PLR0913, PLR0917 - what `tabulate` has
    columns: Columns,
    selection: Selection,
    parts: Mapping[str, Rows],
    y: npt.NDArray[Any],
    classes: tuple[Any, ...] | None,
    decimal: str,
) -> tuple[npt.NDArray[np.float64] | None, list[str]]:
    """The weight of each row, where there is one, and what to read of it; its column is used up."""
    name = selection.weight
    if name is None:
        return None, []
    read = weight_read(columns.pop(name), name, decimal)
    weight = check_weights(read.column, name, decimal=decimal)
    check_parts(weight, name, parts, y, classes)
    return weight, warned.of_weight(name, read.notation)


def _made(
    frames: dict[str, pd.DataFrame],
    y: npt.NDArray[Any],
    weight: npt.NDArray[Any] | None,
    parts: Mapping[str, Rows],
) -> dict[str, Part]:
    """Each part of the rows; `frames` are used up."""
    return {
        part: Part(frames.pop(part), y[rows], None if weight is None else weight[rows])
        for part, rows in parts.items()
    }


def _stated(
    task: Task, selection: Selection, origin: Origin, classes: tuple[Any, ...] | None
) -> object:
    """What the request says of the table that makes its values mean something else."""
    return (task.value, sorted(selection.categorical), origin.test_rows, classes)


def _digest_of(
    stated: object, y: npt.NDArray[Any], weight: npt.NDArray[Any] | None, key: Key | None
) -> Any:
    """The digest of everything but the features, which are added one by one.

    Tables that are alike but for what their rows are divided by have other parts, and so another digest.
    """
    digest = hashlib.sha256(repr(stated).encode("utf-8", "backslashreplace"))
    digest.update(y.data)
    digest.update(b"" if weight is None else weight.data)
    if key is not None:
        digest.update(f"divided by {key.column}".encode("utf-8", "backslashreplace"))
        digest.update(np.ascontiguousarray(key.values).data)
    return digest


def target_of(
    column: pa.ChunkedArray, name: str, task: Task, decimal: str = ".", *, fewest: int = 2
) -> tuple[npt.NDArray[Any], tuple[Any, ...] | None]:
    """Class indices and their labels, or float64 values and None: (n,). Raises `InvalidData`, also for fewer than `fewest` classes.

    `decimal` is the mark in all of the file: with a comma, 1.234 in text are thousands.
    """
    check_target(column, name, task, decimal=decimal)
    if task is Task.CLASSIFICATION:
        return labels(column, name, fewest=fewest)
    return numbers(target_read(column, name, task, decimal=decimal).column).astype(np.float64), None


def partition_of(
    y: npt.NDArray[Any],
    classes: tuple[Any, ...] | None,
    split: Split,
    origin: Origin,
    key: Key | None,
) -> Partition:
    """The rows of each part; those of a separate test table are the test. Raises `InvalidData`."""
    own = len(y) - origin.test_rows
    _check_classes(
        y[:own],
        classes,
        "/data/test_uri",
        "occurs in the test table only; add rows of it to the training table, or leave it out",
    )
    if key is None:
        divided = splitting.partition(
            y[:own], split, classes=classes, with_test=not origin.test_rows
        )
        pointer = "/split/stratify"
        cure = "set split.stratify to true if it has several rows, merge it with another class"
    else:
        divided = splitting.divided(key, split)
        pointer, cure = "/split/by", f"divide otherwise than by {split.by} of {key.column!r}"
    untrained = f"has no row in the training part; {cure}, or leave it out"
    _check_classes(y[divided.train], classes, pointer, untrained)
    return divided if divided.test is not None else replace(divided, test=np.arange(own, len(y)))


def _check_classes(
    y: npt.NDArray[Any], classes: tuple[Any, ...] | None, pointer: str, complaint: str
) -> None:
    if classes is not None:
        absent = np.flatnonzero(np.bincount(y, minlength=len(classes)) == 0)
        if len(absent):
            raise InvalidData(f"class {classes[absent[0]]!r} {complaint}", pointer)
