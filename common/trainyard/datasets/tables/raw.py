"""The held-out rows of a run, which test it, as its table has them and with whatever columns another model needs."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from trainyard.contract import AnyTable, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.splitting import Key, Rows, partition
from trainyard.datasets.tables.as_trained import Trained, is_text_there, manner
from trainyard.datasets.tables.assemble import AsRead, partition_of, target_of
from trainyard.datasets.tables.columns import check_usable, is_date, is_text, numbers, plain
from trainyard.datasets.tables.dates import microseconds
from trainyard.datasets.tables.files import Table, read
from trainyard.datasets.tables.gathering import Columns
from trainyard.datasets.tables.weights import check_weights

MOST_KEPT_BYTES = 64_000_000


@dataclass(frozen=True)
class HeldOut:
    """Rows that test, and what tells which of them another run of the same table has trained on."""

    rows: Rows
    all_y: npt.NDArray[Any]
    """Class indices or targets of all rows of the table."""
    classes: tuple[Any, ...] | None
    key: Key | None
    are_apart: bool = False
    """Whether they are a table of their own, which is for tests alone."""

    @property
    def y(self) -> npt.NDArray[Any]:
        """Theirs, (n,), by which a caller can tell whether these are the rows it means."""
        return self.all_y[self.rows]

    def trained_on(self, other: Split) -> int:
        """How many of them a run of this very table trains or validates on with another random split."""
        if self.are_apart:
            return 0
        is_held_out = np.zeros(len(self.all_y), np.bool_)
        is_held_out[self.rows] = True
        divided = partition(self.all_y, other, classes=self.classes)
        used = (each for part, each in divided.parts.items() if part != "test")
        return sum(int(is_held_out[each].sum()) for each in used)

    def not_after(self, last: str | float) -> int | None:
        """How many of them have a time, or number, of `split.column` that is not after `last`; None where these are not of one kind."""
        if self.key is None:
            return 0
        found, counts = np.unique(self.key.values[self.rows], return_counts=True)  # noqa: PD011 - no pandas
        said, end = self.key.said, _place(last)
        if not len(found) or _place(said(found[0]))[0] != end[0]:
            return None
        earlier = bisect_left(found, True, key=lambda value: _place(said(value)) > end)
        return int(counts[:earlier].sum())


class KeptTable:
    """What a run keeps of a table that it has read, to show another model its test rows: a small one is not read again."""

    def __init__(self) -> None:
        self._read: AsRead | None = None
        self.rows: Rows | None = None
        """The numbers of the rows that test; None while no table was read."""
        self.total = 0
        """How many rows there are."""

    def __call__(self, read: AsRead) -> None:
        """Keep it, unless it is large: the run could not give its memory back while it makes features of it."""
        self.rows, self.total = read.rows, len(read.y)
        if read.columns is not None and _bytes(read.columns) <= MOST_KEPT_BYTES:
            self._read = read

    def forget(self) -> None:
        """Give the memory back."""
        self._read = None

    def held_out(
        self, spec: AnyTable, columns: Sequence[str], trained: Trained = ()
    ) -> tuple[HeldOut, pd.DataFrame] | None:
        """What `held_out` would answer, or None where it has to read the table for that.

        The spec of the run may type columns by itself, or leave out what the model needs; and a CSV is text where the
        model's own table was.
        """
        read = self._read
        if read is None or read.columns is None or spec.categorical or spec.columns:
            return None
        there, texts = read.columns, [name for name, *_ in manner(trained)]
        if not there.keys() >= {*columns, *texts}:
            return None
        if spec.weight in columns or not all(is_text_there(there[name].type) for name in texts):
            return None
        left, rows = {**there}, read.rows
        x = pd.DataFrame({name: _picked(name, left, rows) for name in columns}, copy=False)
        return HeldOut(rows, read.y, read.classes, read.key, read.are_apart), x


def _bytes(columns: Mapping[str, pa.ChunkedArray]) -> int:
    return sum(column.nbytes for column in columns.values())


def _place(moment: str | float) -> tuple[str, Any]:
    """What it is compared with, and its order among these: a day is its midnight."""
    if not isinstance(moment, str):
        return "numbers", moment
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return "words", moment
    return "times without a zone" if time.tzinfo is None else "times", time


def held_out(  # noqa: PLR0913 - a table, and who is to see it
    spec: AnyTable,
    split: Split,
    *,
    task: Task,
    access: DataAccess,
    columns: Sequence[str],
    trained: Trained = (),
) -> tuple[HeldOut, pd.DataFrame]:
    """Read the table again, and keep these columns of the rows that `split` tests on. Raises `InvalidData`.

    The columns are numbers in the table's own dtype, text as objects, missing values as they are. They are for a model
    that is `trained` on them so; what tells which rows these are is read as it was in the run.
    """
    asked = _asking_for(spec, columns)
    apart = {spec.target, spec.weight, split.column}
    others = [each for each in trained if each["name"] not in apart]
    table = read(asked, split, task=task, access=access, trained=others)
    y, classes = _target_of(table, spec.target, task)
    rows = partition_of(y, classes, split, table.origin, table.key).parts["test"]
    key: Columns = {}
    divided_by = [each for each in trained if each["name"] == split.column]
    if manner(divided_by):
        again = asked.model_copy(update={"features": [split.column]})
        key = read(again, Split(), task=task, access=access, trained=divided_by).columns
    found = {
        name: _picked(name, key if name in key and name == split.column else table.columns, rows)
        for name in columns
    }
    x = pd.DataFrame(found, copy=False)
    return HeldOut(rows, y, classes, table.key, bool(table.origin.test_rows)), x


def held_out_rows(  # noqa: PLR0913 - a table, and who is to see it
    spec: AnyTable, split: Split, rows: Rows, *, task: Task, access: DataAccess, beside: str
) -> HeldOut:
    """These rows, without their columns: of the table the labels are read, and the column `beside`. Raises `InvalidData`."""
    table = read(_asking_for(spec, [beside]), split, task=task, access=access)
    y, classes = _target_of(table, spec.target, task)
    return HeldOut(rows, y, classes, table.key, bool(table.origin.test_rows))


@dataclass(frozen=True)
class RowsOfTest:
    """Which rows of a table test, in the order in which a run has them, and what is true of them."""

    rows: Rows
    y: npt.NDArray[Any]
    classes: tuple[Any, ...] | None
    weight: npt.NDArray[np.float64] | None


def rows_of_test(  # noqa: PLR0913 - a table, and who is to see it
    spec: AnyTable,
    split: Split,
    *,
    task: Task,
    access: DataAccess,
    beside: str,
    trained: Trained = (),
) -> RowsOfTest:
    """The rows that `split` tests on. Of the table the labels are read, and the column `beside`. Raises `InvalidData`.

    `trained` says how a model was given the target.
    """
    asked = _asking_for(spec, [beside])
    table = read(asked, split, task=task, access=access, trained=trained)
    y, classes = _target_of(table, spec.target, task)
    rows = partition_of(y, classes, split, table.origin, table.key).parts["test"]
    weight = None
    if spec.weight:
        column = table.columns.pop(spec.weight)
        weight = check_weights(column, spec.weight, decimal=table.origin.decimal)
    return RowsOfTest(rows, y[rows], classes, None if weight is None else weight[rows])


def _asking_for(spec: AnyTable, columns: Sequence[str]) -> AnyTable:
    """The spec with these columns, typed as the table has them, whatever the run made of them."""
    update = {"features": list(columns), "drop": [], "categorical": [], "columns": {}}
    return spec.model_copy(update=update)


def _target_of(
    table: Table, name: str, task: Task
) -> tuple[npt.NDArray[Any], tuple[Any, ...] | None]:
    return target_of(table.columns.pop(name), name, task, table.origin.decimal)


def frame_of(table: pa.Table) -> pd.DataFrame:
    """The rows as a model of raw columns takes them. Raises `InvalidData`."""
    columns = zip(table.column_names, table.columns, strict=True)
    return pd.DataFrame({name: _values(name, column) for name, column in columns}, copy=False)


def _picked(name: str, columns: Columns, rows: Rows) -> Any:
    column = columns.pop(name)
    if is_text(column.type) or is_date(column.type):
        return _values(name, column.take(pa.array(rows)))
    return _values(name, column)[rows]


def _values(name: str, column: pa.ChunkedArray) -> Any:
    check_usable(name, column.type, "/data/features")
    column = plain(column)
    if is_date(column.type):
        return microseconds(column, name, "/data/features").to_pandas().array
    if is_text(column.type):
        values: npt.NDArray[Any] = column.to_numpy()
        return values
    if pt.is_boolean(column.type) and column.null_count:
        truths: npt.NDArray[Any] = (
            column.to_numpy()
        )  # True, False and None, as text was read in training
        return truths
    return numbers(column)
