"""A table that does not fit in memory: its columns are read one at a time, and what is made of them lies in files."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from trainyard.disk_space import is_full
from trainyard.errors import DiskFull


def append(file: Path, values: npt.NDArray[Any]) -> None:
    """Write the bytes of an array, contiguous in C's order, behind those in the file. Raises `DiskFull`."""
    with disk_full_told(), file.open("ab") as stream:
        stream.write(values.view(np.uint8).data)


@contextmanager
def disk_full_told() -> Iterator[None]:
    """Turn the operating system's error into `DiskFull`."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DiskFull from error
        raise


@dataclass(frozen=True)
class ReadWhenAsked:
    """As a dict of columns by name, whose columns are read each time they are asked for, and not kept."""

    names: tuple[str, ...]
    read: Callable[[str], pa.ChunkedArray]

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self.read(name)

    def __delitem__(self, name: str) -> None:
        """Nothing: it is not kept."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def pop(self, name: str) -> pa.ChunkedArray:
        """The column, for the last time."""
        return self.read(name)


@dataclass(frozen=True)
class _Place:
    """Where the values of a column are: the file of all columns of its part and dtype, and the position in it."""

    file: str
    dtype: np.dtype[Any]
    position: int
    categories: pd.Index | None


@dataclass(frozen=True)
class InFiles:
    """Keeps the columns of each part in a folder: one file a part and dtype, as mapped files are few on Linux."""

    folder: Path
    _places: dict[str, dict[str, _Place]] = field(default_factory=lambda: defaultdict(dict))
    _columns: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def put(self, part: str, name: str, values: Any) -> None:
        """Keep the values of (rows,), an array or a categorical. Raises `DiskFull`."""
        categories = values.categories if isinstance(values, pd.Categorical) else None
        array = np.ascontiguousarray(values if categories is None else values.codes)
        file = f"{part}-{array.dtype.str[1:]}"
        append(self.folder / file, array)
        self._places[part][name] = _Place(file, array.dtype, self._columns[file], categories)
        self._columns[file] += 1

    def frame(self, part: str, rows: int) -> pd.DataFrame:
        """The columns of a part, mapped into memory: read from the files when they are looked at, and given back when memory is short."""
        maps: dict[str, npt.NDArray[Any]] = {}
        columns: dict[str, Any] = {}
        for name, place in self._places[part].items():
            if place.file not in maps:
                maps[place.file] = self._mapped(place, rows)
            values = maps[place.file][place.position]
            columns[name] = (
                values
                if place.categories is None
                else pd.Categorical.from_codes(values, categories=place.categories)
            )
        return pd.DataFrame(columns, copy=False)

    def _mapped(self, place: _Place, rows: int) -> npt.NDArray[Any]:
        shape = (self._columns[place.file], rows)
        if not rows:  # an empty file cannot be mapped
            return np.empty(shape, place.dtype)
        path = self.folder / place.file
        return np.asarray(np.memmap(path, place.dtype, mode="r", shape=shape))


@dataclass(frozen=True)
class InMemory:
    """Keeps the columns of each part as they are."""

    _columns: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))

    def put(self, part: str, name: str, values: Any) -> None:
        """Keep the values of (rows,), an array or a categorical."""
        self._columns[part][name] = values

    def frame(self, part: str, rows: int) -> pd.DataFrame:
        """The columns of a part, which are used up."""
        del rows
        return pd.DataFrame(self._columns.pop(part), copy=False)


def place_for(beyond_memory: str | None) -> InFiles | InMemory:
    """Where the columns of a table are kept: in temporary files where it is beyond memory, as a sentence says."""
    return InFiles(Path(mkdtemp())) if beyond_memory else InMemory()
