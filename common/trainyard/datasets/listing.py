"""What there is to train on: the builtin data sets, and the files below the data roots."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Literal

from trainyard.contract import DatasetInfo
from trainyard.datasets.access import DataAccess
from trainyard.datasets.builtin import BUILTINS
from trainyard.datasets.sources.walking import TooManyEntries, walk
from trainyard.datasets.tables.parts import PARQUET

MOST_LISTED = 1000
PACKED = ("", ".gz", ".bz2", ".zst", ".zip")
TABLES = (
    *(f".csv{packed}" for packed in PACKED),
    *(f".tsv{packed}" for packed in PACKED),
    *PARQUET,
)


def listing(access: DataAccess) -> list[DatasetInfo]:
    """The builtin data sets, then up to 1000 files and folders by name; a name is the `uri` to ask for.

    Below each root the first 100,000 files and folders are looked at; what lies beyond them can be trained on
    but is not listed.
    """
    builtin = [
        DatasetInfo(source="builtin", name=name, task=each.task) for name, each in BUILTINS.items()
    ]
    found: dict[str, DatasetInfo] = {}
    for root in access.roots:
        for each in islice(_below(root.resolve()), MOST_LISTED):
            found.setdefault(each.name, each)
    return [*builtin, *sorted(found.values(), key=lambda each: each.name)[:MOST_LISTED]]


def _below(root: Path) -> Iterator[DatasetInfo]:
    with suppress(TooManyEntries):
        for folder, folders, files in walk(root, skip_unreadable=True):
            folders[:] = [each for each in folders if not each.startswith(".")]
            if folder != root and "_delta_log" in folders:
                folders.clear()
                yield _folder(folder, root, source="delta")
            elif folder != root and any("=" in each for each in folders):
                folders.clear()
                yield _folder(folder, root, source="file")
            elif folder != root and any(each.startswith("train-images") for each in files):
                yield _folder(folder, root, source="images")
            else:
                yield from _files(folder, files, root)


def _files(folder: Path, names: list[str], root: Path) -> Iterator[DatasetInfo]:
    for path in map(folder.joinpath, names):
        is_table = path.name.lower().endswith(TABLES)
        if (is_table or path.suffix.lower() == ".npz") and path.resolve().is_relative_to(root):
            yield DatasetInfo(
                source="file" if is_table else "images",
                name=str(path.relative_to(root)),
                size_bytes=path.stat().st_size,
            )


def _folder(folder: Path, root: Path, *, source: Literal["file", "delta", "images"]) -> DatasetInfo:
    return DatasetInfo(source=source, name=str(folder.relative_to(root)), size_bytes=_size(folder))


def _size(folder: Path) -> int | None:
    """Bytes in all files below `folder`; None where there are too many to count."""
    try:
        return sum(
            (here / name).stat().st_size for here, _, names in walk(folder) for name in names
        )
    except (TooManyEntries, OSError):
        return None
