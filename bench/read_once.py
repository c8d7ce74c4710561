"""One reading of a table in a process of its own: prints the seconds it took, and the most memory beyond the libraries'.

python read_once.py WAY KIND FOLDER, with a way of `WAYS` and a kind of `reading.KINDS`; FOLDER is `reading.made`'s.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyarrow import csv
from pyiceberg.catalog import load_catalog
from sklearn.model_selection import train_test_split
from trainyard.contract import AnyTable, DeltaData, FileData, IcebergData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.tables import files

TARGET = "y"


def by_pyarrow(kind: str, folder: Path) -> pa.Table:
    """An Arrow table, by the library of the format."""
    if kind == "delta":
        return DeltaTable(folder / "delta").to_pyarrow_table()
    if kind == "iceberg":
        return _iceberg(folder).to_arrow()
    if kind == "csv":
        return csv.read_csv(folder / "table.csv")
    return pq.read_table(folder / "table.parquet")


def by_pandas(kind: str, folder: Path) -> list[pd.DataFrame]:
    """A frame, divided by scikit-learn into training, validation and test rows."""
    if kind == "delta":
        frame = DeltaTable(folder / "delta").to_pandas()
    elif kind == "iceberg":
        frame = _iceberg(folder).to_pandas()
    elif kind == "csv":
        frame = pd.read_csv(folder / "table.csv")
    else:
        frame = pd.read_parquet(folder / "table.parquet")
    rest, test = train_test_split(frame, test_size=0.2, random_state=42, stratify=frame[TARGET])
    train, validation = train_test_split(
        rest, test_size=0.125, random_state=42, stratify=rest[TARGET]
    )
    return [train, validation, test]


def read(kind: str, folder: Path) -> Any:
    """The columns of all rows, as a run of Trainyard has them before it divides and checks them."""
    return files.read(_spec(kind), Split(), task=Task.CLASSIFICATION, access=_access(folder))


def load(kind: str, folder: Path) -> Any:
    """The parts that a model is given: read, checked, profiled, and divided as above."""
    return loading.load(_spec(kind), Split(), task=Task.CLASSIFICATION, access=_access(folder))


WAYS: dict[str, Callable[[str, Path], Any]] = {
    "read": read,
    "load": load,
    "pyarrow": by_pyarrow,
    "pandas": by_pandas,
}


def _iceberg(folder: Path) -> Any:
    uri = f"sqlite:///{folder}/catalog.db"
    return load_catalog("bench", type="sql", uri=uri).load_table("bench.normal").scan()


def _spec(kind: str) -> AnyTable:
    if kind == "delta":
        return DeltaData(source="delta", uri="delta", target=TARGET)
    if kind == "iceberg":
        return IcebergData(source="iceberg", catalog="bench", table="bench.normal", target=TARGET)
    return FileData(source="file", uri=f"table.{kind}", target=TARGET)


def _access(folder: Path) -> DataAccess:
    return DataAccess((folder,), folder, connections_file=folder / "connections.toml")


def _most_memory() -> int:
    """In bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Read, and print."""
    way, kind, folder = sys.argv[1:]
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # the most memory is counted from here
    started = time.perf_counter()
    kept = WAYS[way](kind, Path(folder))
    seconds = time.perf_counter() - started
    memory_mb = max(0, _most_memory() - before) / 1e6
    del kept
    print(json.dumps({"seconds": seconds, "memory_mb": memory_mb}))


if __name__ == "__main__":
    main()
