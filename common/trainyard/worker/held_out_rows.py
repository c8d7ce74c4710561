"""A run's test rows as another model is to see them: raw, and with the columns that it needs."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trainyard.contract import AnyTable, BuiltinData, ImageData, Split, TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.datasets.scoring.tables import Wanted, rows_with_numbers
from trainyard.datasets.splitting import Rows
from trainyard.datasets.tables.as_trained import Trained, manner
from trainyard.datasets.tables.raw import HeldOut, KeptTable, held_out, held_out_rows
from trainyard.errors import InvalidData
from trainyard.registry.recorded import DIGEST_TAG, SPLIT_TAG, other_rows
from trainyard.trainer import Data
from trainyard.worker.champion import (
    CannotScore,
    check_columns,
    columns_needed,
    predictions,
    trained_on,
)

Array = npt.NDArray[Any]


class HeldOutRows:
    """Gives the rows, and remembers them for what is asked of them afterwards."""

    def __init__(
        self, request: TrainRequest, data: Data, access: DataAccess, kept: KeptTable
    ) -> None:
        """`kept`: what was read when the data was."""
        self._request = request
        self._data = data
        self._access = access
        self._kept = kept
        self.table: HeldOut | None = None
        """The table's rows, once they were read; None for data that is no table in a file."""
        self._x: pd.DataFrame | None = None
        self._asked: Any = None
        """Which columns `_x` has, and how they are read."""

    def forget(self) -> None:
        """Give back what was kept of the table: it is read again where it is asked for."""
        self._kept.forget()

    @property
    def seed(self) -> int:
        """What chance is drawn from."""
        return self._request.seed

    def x(self, columns: tuple[str, ...] | None, trained: Trained = ()) -> Any:
        """A frame of these columns, or images where `columns` is None, for a model that is `trained` on them so. Raises `CannotScore`."""
        if (columns is None) is not (self._data.kind == "images"):
            takes = "images" if columns is None else "a table"
            raise CannotScore(f"it takes {takes}, and this data is {self._data.kind}")
        if columns is None:
            return np.ascontiguousarray(self._data.test.x)
        data = self._request.data
        if not isinstance(data, BuiltinData | ImageData):
            return self._read(data, columns, trained)
        check_columns(columns, self._data.test.x.columns)
        return _plain(self._data.test.x[list(columns)])

    def predicted_by(self, model: Any, classes: Sequence[Any] | None) -> Array:
        """What an MLflow model of any kind predicts of the rows, as `champion.predictions`. Raises `CannotScore`."""
        columns, trained = columns_needed(model.metadata), trained_on(model)
        if self._data.beyond_memory is None or columns is None:
            return predictions(model, self.x(columns, trained), self._data.task, classes)
        wanted = Wanted(columns, (), self._data.task, trained)
        return self._predicted_in_slices(model, classes, wanted)

    def _predicted_in_slices(
        self, model: Any, classes: Sequence[Any] | None, wanted: Wanted
    ) -> Array:
        """As `predicted_by`, of a table that does not fit in memory: it is read again, some rows at a time."""
        spec, rows = self._request.data, self._kept.rows
        if rows is None or isinstance(spec, BuiltinData | ImageData):
            raise TypeError("only a table in a file is beyond memory")
        try:
            self.table = self._the_same(spec, rows, wanted.features)
            with rows_with_numbers(spec, rows, wanted, self._access) as found:
                parts = (
                    predictions(model, each.x, self._data.task, classes) for each in found.slices()
                )
                return _in_order(parts, np.argsort(rows, kind="stable"))
        except InvalidData as error:
            raise _lacking(error) from error

    def _the_same(self, spec: AnyTable, rows: Rows, columns: Sequence[str]) -> HeldOut:
        """What the table says of the rows. Raises `CannotScore` where they have other targets by now, or the columns are no features of this run."""
        apart = [name for name in columns if name in {spec.target, spec.weight}]
        if apart:
            what = "target" if apart[0] == spec.target else "weight"
            raise CannotScore(f"it reads {apart[0]!r}, which is the {what} of this run")
        table = held_out_rows(
            spec,
            self._request.split,
            rows,
            task=self._data.task,
            access=self._access,
            beside=columns[0],
        )
        are_all_there = len(table.all_y) == self._kept.total
        if not are_all_there or not np.array_equal(table.y, self._data.test.y):
            raise _changed()
        return table

    def seen_by(self, tags: Mapping[str, str], profile: Mapping[str, Any]) -> int | None:
        """How many of the rows the run with these tags and this data profile has trained on, or validated with.

        That can be told of a run on the very same data, and of one whose rows were divided by the same column of times.
        None where it cannot. A model that was asked elsewhere has left no table here: it is read where the answer needs it.
        """
        own = {DIGEST_TAG: self._data.digest, SPLIT_TAG: self._request.split.model_dump_json()}
        if other_rows(own, tags) is None:
            return 0
        mine, theirs = self._data.profile.get("split"), profile.get("split")
        if not mine and not theirs:
            same = tags.get(DIGEST_TAG) == self._data.digest
            table = self._found() if same else None
            return table.trained_on(_split(tags)) if table else None
        if mine and theirs and (mine["by"], mine["column"]) == ("time", theirs.get("column")):
            last = theirs.get("validation_until", theirs.get("train_until"))
            table = None if last is None else self._found()
            return table.not_after(last) if table else None
        return None

    def _found(self) -> HeldOut | None:
        """What the table says of the rows; None where that is not to be had, or the data is no table in a file."""
        spec, rows = self._request.data, self._kept.rows
        if (
            self.table is None
            and rows is not None
            and not isinstance(spec, BuiltinData | ImageData)
        ):
            with suppress(InvalidData, CannotScore):
                self.table = self._the_same(spec, rows, [str(self._data.test.x.columns[0])])
        return self.table

    def _read(self, spec: AnyTable, columns: tuple[str, ...], trained: Trained) -> pd.DataFrame:
        asked = columns, manner(trained)
        if self._x is not None and self._asked == asked:
            return self._x
        try:
            table, x = self._kept.held_out(spec, columns, trained) or held_out(
                spec,
                self._request.split,
                task=self._data.task,
                access=self._access,
                columns=columns,
                trained=trained,
            )
        except InvalidData as error:
            raise _lacking(error) from error
        if not np.array_equal(table.y, self._data.test.y):
            raise _changed()
        self.table, self._x, self._asked = table, x, asked
        return x


def _in_order(parts: Iterable[Array], places: Rows) -> Array:
    """The rows of all parts, each at its place, without a second copy of them."""
    whole, start = None, 0
    for part in parts:
        if whole is None:
            whole = np.empty((len(places), *part.shape[1:]), part.dtype)
        whole[places[start : start + len(part)]] = part
        start += len(part)
    if whole is None or start != len(places):
        raise _changed()
    return whole


def _lacking(error: InvalidData) -> CannotScore:
    return CannotScore(f"the data does not have what it needs: {error.detail}")


def _changed() -> CannotScore:
    return CannotScore("the data has changed since this run read it")


def _split(tags: Mapping[str, str]) -> Split:
    return Split.model_validate_json(tags[SPLIT_TAG])


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Categoricals as the values that they stand for."""
    kinds = {name: object for name, kind in rows.dtypes.items() if kind == "category"}
    return rows.astype(kinds)
