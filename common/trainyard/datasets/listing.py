"""What there is to train on: the builtin data sets, and the files below the data roots."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from trainyard.contract import DatasetInfo
from trainyard.datasets.builtin import BUILTINS
from trainyard.settings import DataAccess

MOST_FILES = 1000
TABLES = (".csv", ".csv.gz", ".parquet", ".pq")


def listing(access: DataAccess) -> list[DatasetInfo]:
    """The builtin data sets, then up to 1000 files and folders by name; a name is the `uri` to ask for."""
    builtin = [DatasetInfo(source="builtin", name=name, task=each.task) for name, each in BUILTINS.items()]
    found: dict[str, DatasetInfo] = {}
    for root in access.roots:
        for each in islice(_below(root.resolve()), MOST_FILES):
            found.setdefault(each.name, each)
    return [*builtin, *sorted(found.values(), key=lambda each: each.name)[:MOST_FILES]]


def _below(root: Path) -> Iterator[DatasetInfo]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if any("=" in each for each in folders) and here != root:
            folders.clear()
            yield DatasetInfo(source="file", name=str(here.relative_to(root)), size_bytes=_size(here))
        elif any(each.startswith("train-images") for each in files) and here != root:
            yield DatasetInfo(source="images", name=str(here.relative_to(root)), size_bytes=_size(here))
        else:
            yield from _files(here, sorted(files), root)


def _files(folder: Path, names: list[str], root: Path) -> Iterator[DatasetInfo]:
    for name in names:
        path = folder / name
        tabular = name.lower().endswith(TABLES)
        if (tabular or name.lower().endswith(".npz")) and path.is_file() and path.resolve().is_relative_to(root):
            yield DatasetInfo(source="file" if tabular else "images", name=str(path.relative_to(root)), size_bytes=path.stat().st_size)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
