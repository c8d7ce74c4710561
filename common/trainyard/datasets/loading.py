"""Check a data set at submit, and read it in a run."""

from collections.abc import Callable, Sequence

from trainyard.contract import (
    AnyTable,
    BuiltinData,
    DataSpec,
    DataVersion,
    ImageData,
    Split,
    TableData,
    Task,
)
from trainyard.datasets.access import DataAccess
from trainyard.datasets.builtin import inspect_builtin, load_builtin
from trainyard.datasets.images.pictures import inspect_images, load_images
from trainyard.datasets.tables.assemble import AsRead
from trainyard.datasets.tables.files import load_file
from trainyard.datasets.tables.inspection import CheckNames, inspect_file
from trainyard.errors import InvalidData
from trainyard.trainer import WHOLE, Data, DataKind


def load(  # noqa: PLR0913 - the spec, and what it is for
    spec: DataSpec,
    split: Split,
    *,
    task: Task,
    access: DataAccess,
    kinds: Sequence[DataKind] = ("table",),
    seed: int | None = None,
    needs_whole: str | None = WHOLE,
    keep: Callable[[AsRead], object] | None = None,
) -> Data:
    """Read, check and split a data set for a model of this `task` that takes these `kinds`.

    Rows are divided as `train_test_split` of scikit-learn does with `split.seed`, or with `seed` where it
    is given (`splitting.partition` says how), or by a column of a table (`splitting.divided`). Where
    `needs_whole` is None, the data may be `beyond_memory`. `keep` is shown a table as it was read. Raises `InvalidData` for
    what the caller can mend.
    """
    if seed is not None:
        split = split.model_copy(update={"seed": seed})
    _check_divisible(spec, split)
    if isinstance(spec, BuiltinData):
        return load_builtin(spec, split, task=task, kinds=kinds, access=access)
    _check_fit(spec, task, kinds)
    if isinstance(spec, ImageData):
        return load_images(spec, split, access=access)
    return load_file(spec, split, task=task, access=access, needs_whole=needs_whole, keep=keep)


def inspect(  # noqa: PLR0913 - the spec, and what it is for
    spec: DataSpec,
    *,
    task: Task,
    kinds: Sequence[DataKind],
    access: DataAccess,
    split: Split,
    needs_whole: str | None = WHOLE,
    check_names: CheckNames | None = None,
) -> DataVersion | None:
    """Check at submit what can be known cheaply: addresses, names, headers, and about the first megabyte.

    Meant for a process with little memory and time: it never reads a whole large file, allocates nothing by what
    a header says, and gives a remote about five seconds an answer. `needs_whole` says why a table that does not fit
    in memory cannot be trained on, and is None where it can. The answer is the version of the data that counts now,
    where it has versions. `check_names` is given the columns of a table first. Raises `InvalidData` with a JSON pointer for the first field that cannot be right.
    """
    _check_divisible(spec, split)
    if isinstance(spec, BuiltinData):
        inspect_builtin(spec, task=task, kinds=kinds, access=access)
        return None
    _check_fit(spec, task, kinds)
    if isinstance(spec, ImageData):
        inspect_images(spec, access=access)
        return None
    return inspect_file(
        spec, split, task=task, access=access, needs_whole=needs_whole, check_names=check_names
    )


def _check_divisible(spec: DataSpec, split: Split) -> None:
    if split.by != "random" and not isinstance(spec, TableData):
        raise InvalidData(
            f"by {split.by!r} divides by a column of a table, and source {spec.source!r} has none to divide by; set split.by to 'random', or leave it out",
            "/split/by",
        )


def _check_fit(spec: AnyTable | ImageData, task: Task, kinds: Sequence[DataKind]) -> None:
    kind: DataKind = "images" if isinstance(spec, ImageData) else "table"
    if kind not in kinds:
        raise InvalidData(
            f"source {spec.source!r} gives {kind}, and this model takes {' or '.join(kinds)}",
            "/data/source",
        )
    if kind == "images" and task is not Task.CLASSIFICATION:
        raise InvalidData(
            f"images are for classification, and this model does {task}", "/data/source"
        )
