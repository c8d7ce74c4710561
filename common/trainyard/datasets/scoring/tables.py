"""The rows of a table, from a file, a folder or a builtin data set, streamed."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from trainyard.contract import AnyTable, BuiltinData, ImageData, ScoreRequest, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.builtin import TARGET, builtin_table
from trainyard.datasets.scoring.rows import MOST_MEASURED, RowsToScore, Slice, Truth
from trainyard.datasets.sources.addresses import opened
from trainyard.datasets.sources.location import Location
from trainyard.datasets.splitting import Rows, partition
from trainyard.datasets.tables.as_trained import Trained, texts_of
from trainyard.datasets.tables.assemble import target_of
from trainyard.datasets.tables.columns import missing
from trainyard.datasets.tables.opening import opened_table
from trainyard.datasets.tables.raw import frame_of, rows_of_test
from trainyard.datasets.tables.streams import (
    Stream,
    one_after_the_other,
    regrouped,
    stream_in_memory,
    stream_of,
)
from trainyard.datasets.tables.weights import check_weights
from trainyard.errors import InvalidData


@dataclass(frozen=True)
class Wanted:
    """The columns that the model reads, those that are kept, and what the model does; None where nothing tells."""

    features: tuple[str, ...]
    keep: tuple[str, ...]
    task: Task | None
    trained: Trained = ()
    """How the features were read where the model was trained; empty where it does not say."""
    classes_are_text: bool = False

    @property
    def names(self) -> list[str]:
        """All of them, each once."""
        return list(dict.fromkeys([*self.features, *self.keep]))

    def as_trained(self, target: str | None) -> Trained:
        """The features and the target as a training reads them: of classes that are text, `01` is not 1."""
        if not self.classes_are_text or target is None:
            return self.trained
        return (*self.trained, {"name": target, "categories": [""]})


@contextmanager
def rows_of_table(
    request: ScoreRequest, wanted: Wanted, access: DataAccess
) -> Iterator[RowsToScore]:
    """The rows, until the block is left. Raises `InvalidData`."""
    spec = request.data
    with ExitStack() as files:
        if isinstance(spec, BuiltinData):
            yield _of_builtin(spec, request, wanted)
        elif isinstance(spec, ImageData):
            raise TypeError("images are no table")
        elif request.rows == "test" and request.split:
            yield _of_tests(spec, request.split, wanted, access, files)
        else:
            stream = _opened(spec, wanted, _labels(spec), access, files)
            yield _every(stream, wanted, spec.target, spec.weight)


@contextmanager
def rows_with_numbers(
    spec: AnyTable, rows: Rows, wanted: Wanted, access: DataAccess
) -> Iterator[RowsToScore]:
    """These rows of a table that need not fit in memory, in the table's own order. Raises `InvalidData`."""
    with ExitStack() as files:
        stream = _opened(spec, wanted, [], access, files, in_memory=False)
        yield RowsToScore(stream.rows, partial(_slices, stream, wanted, np.sort(rows)), None)


def _labels(spec: AnyTable) -> list[str]:
    return [name for name in (spec.target, spec.weight) if name is not None]


def _opened(  # noqa: PLR0913 - a table, and how it is read
    spec: AnyTable,
    wanted: Wanted,
    whole: list[str],
    access: DataAccess,
    files: ExitStack,
    *,
    in_memory: bool = True,
) -> Stream:
    """The table, and after it its separate test table."""
    asked = {*wanted.names, *whole}
    location = files.enter_context(
        opened_table(spec, access, lambda names: [name for name in names if name in asked])
    )
    as_written = {*wanted.keep} - {*wanted.features, spec.target, spec.weight}
    own = _stream(location, spec, wanted, whole, frozenset(), as_written, in_memory=in_memory)
    if spec.test_uri is None:
        return own
    found = files.enter_context(opened(spec.test_uri, access, "/data/test_uri"))
    tested = replace(found, conditions=tuple(spec.filter))
    texts = texts_of(own.schema) | texts_of(own.whole.schema)
    return one_after_the_other(own, _stream(tested, spec, wanted, whole, texts))


def _stream(  # noqa: PLR0913, PLR0917 - a table, and how it is read
    location: Location,
    spec: AnyTable,
    wanted: Wanted,
    whole: list[str],
    texts: frozenset[str],
    as_written: Collection[str] = (),
    *,
    in_memory: bool = True,
) -> Stream:
    return stream_of(
        location,
        spec,
        names=wanted.names,
        whole=whole,
        most_whole=MOST_MEASURED,
        trained=wanted.as_trained(spec.target),
        texts=texts,
        as_written=as_written,
        in_memory=in_memory,
    )


def _of_tests(
    spec: AnyTable, split: Split, wanted: Wanted, access: DataAccess, files: ExitStack
) -> RowsToScore:
    task, beside = _known_task(wanted), _beside(spec, wanted)
    trained = replace(wanted, trained=()).as_trained(spec.target)
    found = rows_of_test(spec, split, task=task, access=access, beside=beside, trained=trained)
    stream = _opened(spec, wanted, [], access, files)
    in_order = np.sort(found.rows)
    slices = partial(_slices, stream, wanted, in_order)
    if found.weight is not None and not found.weight.any():
        return RowsToScore(
            len(in_order), slices, None, f"the weight {spec.weight!r} is 0 in all of them"
        )
    truth = Truth(found.y, found.classes, found.weight, np.searchsorted(in_order, found.rows))
    return RowsToScore(len(in_order), slices, truth)


def _of_builtin(spec: BuiltinData, request: ScoreRequest, wanted: Wanted) -> RowsToScore:
    table = builtin_table(spec.name)
    stream = stream_in_memory(table, names=wanted.names, whole=[TARGET])
    if request.split is None or request.rows == "all":
        return _every(stream, wanted, TARGET, None)
    y, classes = target_of(table.column(TARGET), TARGET, _known_task(wanted))
    rows = partition(y, request.split, classes=classes).parts["test"]
    in_order = np.sort(rows)
    truth = Truth(y[rows], classes, None, np.searchsorted(in_order, rows))
    return RowsToScore(len(rows), lambda: _slices(stream, wanted, in_order), truth)


def _every(stream: Stream, wanted: Wanted, target: str | None, weight: str | None) -> RowsToScore:
    truth, why = None, ""
    if stream.rows > MOST_MEASURED:
        why = f"there are {stream.rows:,} rows, and up to {MOST_MEASURED:,} are measured"
    elif target is None or target not in stream.whole.column_names:
        why = f"the table has no column {target!r}" if target else "the request names no target"
    elif wanted.task is None:
        why = "the model does not say whether it predicts classes or values"
    else:
        try:
            truth = _truth(stream, target, weight, wanted.task)
        except InvalidData as error:
            why = error.detail
    return RowsToScore(stream.rows, lambda: _slices(stream, wanted, None), truth, why)


def _truth(stream: Stream, target: str, weight: str | None, task: Task) -> Truth:
    """The truth of the rows that have a target. Raises `InvalidData`."""
    whole, order = stream.whole, None
    column = whole.column(target)
    if absent := missing(column):
        if absent == len(column):
            raise InvalidData(f"the target {target!r} is missing in all rows")
        order = np.flatnonzero(~column.is_null(nan_is_null=True).to_numpy())
        column = column.take(pa.array(order))
    y, classes = target_of(column, target, task, stream.decimal, fewest=1)
    if weight is None:
        return Truth(y, classes, None, order)
    if weight not in whole.column_names:
        raise InvalidData(f"the table has no column {weight!r} for the weight")
    weights = check_weights(whole.column(weight), weight, decimal=stream.decimal)
    weights = weights if order is None else weights[order]
    if not weights.any():
        raise InvalidData(f"the weight {weight!r} is 0 in all rows whose target is there")
    return Truth(y, classes, weights, order)


def _slices(stream: Stream, wanted: Wanted, rows: Rows | None) -> Iterator[Slice]:
    batches = stream.batches() if rows is None else _picked(stream.batches(), rows)
    for table in regrouped(batches):
        kept = table.select(list(wanted.keep)) if wanted.keep else None
        yield Slice(frame_of(table.select(list(wanted.features))), kept)


def _picked(batches: Iterator[pa.RecordBatch], rows: Rows) -> Iterator[pa.RecordBatch]:
    """The rows with these numbers, which are sorted."""
    start = 0
    for batch in batches:
        first, end = np.searchsorted(rows, (start, start + batch.num_rows))
        if first < end:
            yield batch.take(pa.array(rows[first:end] - start))
        start += batch.num_rows


def _known_task(wanted: Wanted) -> Task:
    if wanted.task is None:
        raise InvalidData(
            "the model does not say whether it predicts classes or values, and rows are divided by the target's classes; set rows to 'all'",
            "/rows",
        )
    return wanted.task


def _beside(spec: AnyTable, wanted: Wanted) -> str:
    """A column to read with the target: a table is read with one feature at least."""
    apart = {spec.target, spec.weight}
    found = next((name for name in wanted.features if name not in apart), None)
    if found is None:
        raise InvalidData(f"the model reads the target {spec.target!r} itself", "/data/target")
    return found
