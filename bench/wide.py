"""Tables of thousands of columns: seconds to submit, seconds of the run by phase, and what MLflow then holds.

`python bench/wide.py [COLUMNS ...]`, 2,000 5,000 and 60,000 by default, with 200 rows each, on loopback.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from background import free_port  # noqa: E402 - scripts/ is on the path only now
from caller import Caller, tracking, up  # noqa: E402
from programs import trainer  # noqa: E402
from report import at, memory_of, write  # noqa: E402
from tables import DATA  # noqa: E402

ROWS = 200
MODELS = ("xgboost_classifier", "lightgbm_classifier")
COLUMNS = (2_000, 5_000, 60_000)


def wide_table(columns: int, ending: str) -> Path:
    """Normal columns, and a target `y` that depends on two of them."""
    path = DATA / f"wide-{columns}.{ending}"
    if not path.exists():
        random = np.random.default_rng(columns)
        x = random.standard_normal((ROWS, columns)).round(4)
        names = [f"gene_{position:06d}" for position in range(columns)]
        table = pa.table([*x.T, (x[:, 0] + x[:, 1] > 0).astype(np.int64)], names=[*names, "y"])
        (csv.write_csv if ending == "csv" else pq.write_table)(table, path)
    return path


class Bench(Caller):
    """The service, and what a run of a wide table takes."""

    def measured(self, path: Path, model: str, service: int) -> dict[str, Any]:
        """Seconds to 202, seconds of each phase, and the most memory of the service and its processes, in MB."""
        request = {
            "model": model,
            "params": {"n_estimators": 20},
            "data": {"source": "file", "uri": str(path), "target": "y"},
        }
        before = time.perf_counter()
        run = self.submit(request)
        submitted = time.perf_counter() - before
        most = 0
        while not run["ended_at"]:
            most = max(most, memory_of(service))
            run = self.http.get(run["links"]["self"], params={"wait": 1}).raise_for_status().json()
        if run["status"] != "FINISHED":
            raise RuntimeError(f"{run['status']} {run['reason']}: {run['message']}")
        return {
            "submit_s": round(submitted, 2),
            **phases(run),
            "memory_mb": most // 1_000_000,
        }


def phases(run: dict[str, Any]) -> dict[str, float]:
    """Seconds of each phase."""
    steps = [(step["phase"] or "queued", at(step["at"])) for step in run["transitions"]]
    ends = [*[when for _, when in steps[1:]], at(run["ended_at"])]
    seconds: dict[str, float] = {}
    for (phase, begun), ended in zip(steps, ends, strict=True):
        seconds[phase] = round(seconds.get(phase, 0) + ended - begun, 2)
    return seconds


def main() -> None:
    """Start the servers, measure, write, stop."""
    DATA.mkdir(parents=True, exist_ok=True)
    asked = [int(each) for each in sys.argv[1:]] or COLUMNS
    results: dict[str, Any] = {}
    with tracking() as tracking_uri:
        service = trainer(
            "boosting",
            port=free_port(),
            tracking_uri=tracking_uri,
            name="bench-wide",
            TRAINYARD_DATA_ROOTS=str(DATA),
        )
        with up(service) as started:
            bench = Bench(f"http://127.0.0.1:{service.port}")
            for columns in asked:
                for ending in ("parquet", "csv"):
                    for model in MODELS:
                        name = f"{columns:,} columns, {ending}, {model}"
                        path = wide_table(columns, ending)
                        results[name] = bench.measured(path, model, started.pid)
                        print(f"{name}: {json.dumps(results[name])}", flush=True)
    write("wide", results)


if __name__ == "__main__":
    main()
