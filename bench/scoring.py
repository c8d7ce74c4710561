"""`make bench`, champions and scoring: each figure beside its plain peer, written to bench/results/scoring.json."""

import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from background import free_port  # noqa: E402 - scripts/ is on the path only now
from caller import Caller, tracking, up  # noqa: E402
from programs import ROOT, trainer  # noqa: E402
from report import at, memory_of, output_of, write  # noqa: E402
from tables import DATA, normal_table, table  # noqa: E402

PYTHON = ROOT / ".venvs/boosting/bin/python"
MILLIONS = 10
ROUNDS = 5
LOOK_SECONDS = 0.2


class Peak:
    """The most memory that a process and its children had together, over what they had before."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.idle = self.most = memory_of(pid)

    @property
    def over_idle_mb(self) -> float:
        return round((self.most - self.idle) / 1e6, 1)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look again and again until the block is left."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(LOOK_SECONDS):
                self.most = max(self.most, memory_of(self._pid))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


class Bench(Caller):
    """The service, and one method a figure."""

    def __init__(self, api: str, tracking_uri: str, pid: int) -> None:
        super().__init__(api)
        self.tracking_uri = tracking_uri
        self.pid = pid

    def ten_million(self) -> dict[str, Any]:
        """Rows a second of a scoring, POST to FINISHED, beside a script whose imports are not counted."""
        trained = normal_table(1)
        model, _, _ = self.train(
            {
                "model": "xgboost_classifier",
                "params": {"n_estimators": 50},
                "data": {"source": "file", "uri": str(trained), "target": "y"},
                "experiment": "bench-scoring",
            }
        )
        path = normal_table(MILLIONS)
        request = {
            "model_uri": model["model_uri"],
            "data": {"source": "file", "uri": str(path), "target": None},
            "experiment": "bench-scoring",
        }
        peak, before = Peak(self.pid), time.time()
        with peak.watched():
            run = self.ended(self.http.post("/score", json=request).raise_for_status().json())
        if run["status"] != "FINISHED":
            raise RuntimeError(f"{run['status']} {run['reason']}: {run['message']}")
        ours = at(run["ended_at"]) - before
        script = [
            PYTHON,
            HERE / "plain_scoring.py",
            self.tracking_uri,
            model["model_uri"],
            path,
            DATA / "plain_predictions.parquet",
        ]
        theirs = float(output_of(script).splitlines()[-1])
        rows = MILLIONS * 1_000_000
        return {
            f"scoring of {rows:,} x 20": {
                "service_rows_per_second": round(rows / ours),
                "plain_rows_per_second": round(rows / theirs),
                "ratio": round(theirs / ours, 3),
                "goal": ">= 1.0x",
            },
            "memory of that scoring over the idle service": {
                "peak_mb": peak.over_idle_mb,
                "goal": "<= 1500 MB",
            },
        }

    def bootstrap(self) -> dict[str, Any]:
        """The interval of two models' difference, in a process that has imported all it needs."""
        script = [PYTHON, HERE / "plain_bootstrap.py"]
        ours = float(output_of(script))
        theirs = float(output_of([*script, "scikit-learn"]))
        return {
            "bootstrap of the ROC AUC on 10,000 rows": {
                "service_s": round(ours, 3),
                "plain_s": round(theirs, 3),
                "ratio": round(ours / theirs, 3),
                "goal": "<= 1 s",
            }
        }

    def judging(self) -> dict[str, Any]:
        """What it adds to a short run that its alias' holder is scored and judged."""
        path, target, drop = table()
        register = {"name": f"bench-judging-{time.time_ns()}"}
        promote = {"metric": "test_roc_auc", "min_delta": 0.5}
        request = {
            "model": "xgboost_classifier",
            "params": {"n_estimators": 300},
            "data": {"source": "file", "uri": str(path), "target": target, "drop": drop},
            "experiment": "bench-judging",
            "register": register,
        }
        judged = {**request, "register": {**register, "promote": promote}}
        self.train(judged)
        with_judging, without = [], []
        for _ in range(ROUNDS):
            for seconds, asked in ((without, request), (with_judging, judged)):
                run, before, _ = self.train(asked)
                seconds.append(at(run["ended_at"]) - before)
        a, b = statistics.median(with_judging), statistics.median(without)
        return {
            f"300 rounds on {path.name} with the champion judged": {
                "judged_s": round(a, 3),
                "not_judged_s": round(b, 3),
                "ratio": round(a / b, 3),
                "goal": "<= 1.15x",
            }
        }


def main() -> None:
    """Start the servers, measure, write, stop."""
    DATA.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    with tracking() as tracking_uri:
        service = trainer(
            "boosting",
            port=free_port(),
            tracking_uri=tracking_uri,
            name="bench",
            TRAINYARD_INSTANCE="bench",
            TRAINYARD_DATA_ROOTS=f"{DATA}:{table()[0].parent}",
            TRAINYARD_SLOTS="1",
        )
        with up(service) as started:
            bench = Bench(f"http://127.0.0.1:{service.port}", tracking_uri, started.pid)
            for measure in (bench.bootstrap, bench.judging, bench.ten_million):
                for name, value in measure().items():
                    results[name] = value
                    print(f"{name}: {json.dumps(value)}", flush=True)
    write("scoring", results)


if __name__ == "__main__":
    main()
