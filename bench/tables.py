"""The tables of the benches: real ones where TRAINYARD_TEST_DATA names them, else made."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from programs import HOME
from sklearn.datasets import load_breast_cancer

DATA = HOME / "bench/data"
COLUMNS = 20
ROWS_AT_ONCE = 1_000_000


def table() -> tuple[Path, str, list[str]]:
    """The real table where it is, else one that scikit-learn ships: path, target, columns to drop."""
    bank = Path(os.environ.get("TRAINYARD_TEST_DATA", "/nowhere")) / "tabular/bank_marketing.csv"
    if bank.exists():
        return bank, "y", ["duration"]
    path = DATA / "breast_cancer.csv"
    load_breast_cancer(as_frame=True).frame.to_csv(path, index=False)
    return path, "target", []


def normal_table(millions: float) -> Path:
    """Parquet with as many million rows of 20 normal columns, and a target `y` that depends on some of them."""
    path = DATA / f"normal-{millions:g}m.parquet"
    if path.exists():
        return path
    random = np.random.default_rng(42)
    names = [f"x{i}" for i in range(COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with pq.ParquetWriter(
        unfinished, pa.schema([*((name, pa.float64()) for name in names), ("y", pa.int64())])
    ) as file:
        for first in range(0, int(millions * 1_000_000), ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, int(millions * 1_000_000) - first)
            x = random.standard_normal((rows, COLUMNS))
            signal = x[:, 0] + x[:, 1] * x[:, 2] + random.standard_normal(len(x))
            columns = [*x.T, (signal > 0).astype(np.int64)]
            file.write_table(pa.table(columns, schema=file.schema))
    return unfinished.replace(path)
