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
VALUES_AT_ONCE = 20_000_000


def table() -> tuple[Path, str, list[str]]:
    """The real table where it is, else one that scikit-learn ships: path, target, columns to drop."""
    bank = Path(os.environ.get("TRAINYARD_TEST_DATA", "/nowhere")) / "tabular/bank_marketing.csv"
    if bank.exists():
        return bank, "y", ["duration"]
    path = DATA / "breast_cancer.csv"
    load_breast_cancer(as_frame=True).frame.to_csv(path, index=False)
    return path, "target", []


def normal_table(millions: float, columns: int = COLUMNS) -> Path:
    """Parquet with as many million rows of so many normal columns, and a target `y` that depends on some of them."""
    wide = "" if columns == COLUMNS else f"-{columns}"
    path, at_once = DATA / f"normal-{millions:g}m{wide}.parquet", VALUES_AT_ONCE // columns
    if path.exists():
        return path
    random = np.random.default_rng(42)
    names = [f"x{i}" for i in range(columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with pq.ParquetWriter(
        unfinished, pa.schema([*((name, pa.float64()) for name in names), ("y", pa.int64())])
    ) as file:
        for first in range(0, int(millions * 1_000_000), at_once):
            rows = min(at_once, int(millions * 1_000_000) - first)
            x = random.standard_normal((rows, columns))
            signal = x[:, 0] + x[:, 1] * x[:, 2] + random.standard_normal(len(x))
            values = [*x.T, (signal > 0).astype(np.int64)]
            file.write_table(pa.table(values, schema=file.schema))
    return unfinished.replace(path)
