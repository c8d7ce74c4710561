"""A Parquet table of several times the memory that a run may use, trained on in batches and, beside it, whole.

`python bench/beyond_memory.py [MILLIONS [MEMORY_MB]]`: so many million rows x 100 columns of float64 (0.8 GB each),
with `TRAINYARD_MEMORY_MB` of so many. Where this user may make control groups (version 1), the service is held to the
same memory by the kernel.
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from background import free_port  # noqa: E402 - scripts/ is on the path only now
from caller import Caller, tracking, up  # noqa: E402
from memory_groups import memory_group, myself  # noqa: E402
from programs import trainer  # noqa: E402
from report import write  # noqa: E402
from tables import DATA  # noqa: E402
from wide import phases  # noqa: E402

COLUMNS = 100
ROWS_AT_ONCE = 250_000
MODELS = ("xgboost_classifier", "lightgbm_classifier")


def large_table(millions: float) -> Path:
    """Normal columns, and a target `y` that depends on three of them."""
    path = DATA / f"large-{millions}m.parquet"
    if path.exists():
        return path
    random = np.random.default_rng(7)
    names = [f"x{position}" for position in range(COLUMNS)]
    schema = pa.schema([*((name, pa.float64()) for name in names), ("y", pa.int64())])
    unfinished = path.with_suffix(".part")
    with pq.ParquetWriter(unfinished, schema, use_dictionary=False) as file:
        for _ in range(int(millions * 1_000_000 / ROWS_AT_ONCE)):
            x = random.standard_normal((ROWS_AT_ONCE, COLUMNS))
            signal = x[:, 0] + x[:, 1] * x[:, 2] + random.standard_normal(ROWS_AT_ONCE)
            file.write_table(pa.table([*x.T, (signal > 0).astype(np.int64)], schema=schema))
    return unfinished.replace(path)


def measured(path: Path, tracking_uri: str, memory_mb: int | None) -> dict[str, Any]:
    """Each model's metric, seconds a phase, and the most memory that the kernel counted for the service's group."""
    variables = {} if memory_mb is None else {"TRAINYARD_MEMORY_MB": str(memory_mb)}
    service = trainer(
        "boosting",
        port=free_port(),
        tracking_uri=tracking_uri,
        name="bench-large",
        TRAINYARD_DATA_ROOTS=str(DATA),
        **variables,
    )
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        group = stack.enter_context(memory_group("", memory_mb, myself)) if memory_mb else None
        stack.enter_context(up(service))
        bench = Caller(f"http://127.0.0.1:{service.port}")
        for model in MODELS:
            data = {"source": "file", "uri": str(path), "target": "y"}
            request = {"model": model, "params": {"n_estimators": 5}, "data": data}
            run, _, _ = bench.train(request)
            found[model] = {
                "test_roc_auc": round(run["metrics"]["test_roc_auc"], 5),
                **phases(run),
                "messages": [step["message"] for step in run["transitions"] if step["message"]],
            }
            if group is not None:
                found[model]["failed_charges"] = int((group / "memory.failcnt").read_text())
                found[model] |= _counted(group)
            print(memory_mb, model, json.dumps(found[model]), flush=True)
    return found


def _counted(group: Path) -> dict[str, int]:
    """MB, of everything that the group's processes hold now and at most, and of its programs' own."""
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    most = int((group / "memory.max_usage_in_bytes").read_text())
    return {"most_mb": most >> 20, "own_now_mb": int(stat["rss"]) >> 20}


def main() -> None:
    """Start the servers, measure, write, stop."""
    millions, memory_mb = float((sys.argv[1:] or ["4"])[0]), int((sys.argv[2:] or ["1000"])[0])
    DATA.mkdir(parents=True, exist_ok=True)
    path = large_table(millions)
    print(f"{path.name}: {path.stat().st_size / 1e9:.2f} GB", flush=True)
    with tracking() as tracking_uri:
        results = {
            f"{path.name}, {memory_mb} MB": measured(path, tracking_uri, memory_mb),
            f"{path.name}, whole": measured(path, tracking_uri, None),
        }
    write("beyond_memory", results)


if __name__ == "__main__":
    main()
