"""`make bench`: each figure beside its plain peer from the same run, written to bench/results/.

Bounded in count and time, on loopback, against servers that it starts and stops. Where
TRAINYARD_TEST_DATA names a folder with tabular/bank_marketing.csv, that is the table of the whole run;
else scikit-learn's breast cancer is written out and used.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
from mlflow import MlflowClient

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from background import free_port  # noqa: E402 - scripts/ is on the path only now
from caller import BETWEEN_RUNS_SECONDS, Caller, tracking, up  # noqa: E402
from programs import ROOT, trainer  # noqa: E402
from report import at, figure, ms, output_of, phase_at, seconds_of, write  # noqa: E402
from tables import DATA, normal_table, table  # noqa: E402

PYTHON = ROOT / ".venvs/boosting/bin/python"
POLL_SECONDS = 5.0
TINY: dict[str, Any] = {
    "model": "xgboost_classifier",
    "params": {"n_estimators": 5},
    "data": {"source": "builtin", "name": "iris"},
}
IDLE: dict[str, Any] = {**TINY, "model": "idle", "params": {"rounds": 10_000}}


class Bench(Caller):
    """The service, and one method a figure."""

    def __init__(self, api: str, tracking_uri: str) -> None:
        super().__init__(api)
        self.tracking_uri = tracking_uri

    def first_line(self) -> dict[str, Any]:
        """POST to the first line of a run's own code, warm; the peer imports afresh."""
        self.train(TINY)
        warm, ends = [], []
        for _ in range(15):
            time.sleep(BETWEEN_RUNS_SECONDS)
            run, before, after = self.train(TINY)
            warm.append(phase_at(run, "loading_data") - before)
            ends.append(after - at(run["ended_at"]))
        fresh = [seconds_of([PYTHON, HERE / "plain_import.py"]) for _ in range(3)]
        return {
            "post to first line": figure(warm, fresh, "ms", goal="<= 50 ms"),
            "end of a run until a long poll knows": {"median_ms": ms(ends), "goal": "<= 100 ms"},
        }

    def whole_run(self) -> dict[str, Any]:
        """Submit to FINISHED with 300 rounds, MLflow and registry included; the peer is one plain script."""
        path, target, drop = table()
        request = {
            "model": "xgboost_classifier",
            "params": {"n_estimators": 300},
            "data": {"source": "file", "uri": str(path), "target": target, "drop": drop},
            "experiment": "bench-service",
            "register": {"name": "bench-service"},
        }
        ours, theirs = [], []
        plain = [
            PYTHON,
            HERE / "plain_run.py",
            self.tracking_uri,
            path,
            target,
            ",".join(drop),
            "300",
        ]
        for _ in range(3):
            _, before, after = self.train(request)
            ours.append(after - before)
            theirs.append(seconds_of(plain))
        return {
            f"300 rounds on {path.name}, submit to FINISHED": figure(
                ours, theirs, "s", goal="<= 0.35x"
            )
        }

    def training_alone(self) -> dict[str, Any]:
        """The fit on 1,000,000 x 20, in a run and in a plain script, taking turns."""
        path = normal_table(1)
        request = {
            "model": "xgboost_classifier",
            "params": {"n_estimators": 50},
            "data": {"source": "file", "uri": str(path), "target": "y"},
        }
        ours, theirs = [], []
        for _ in range(3):
            run, _, _ = self.train(request)
            ours.append(phase_at(run, "evaluating") - phase_at(run, "training"))
            theirs.append(float(output_of([PYTHON, HERE / "plain_fit.py", path, "y", "50"])))
        return {
            "training alone, 1,000,000 x 20, 50 rounds": figure(ours, theirs, "s", goal="<= 1.03x")
        }

    def polls(self) -> dict[str, Any]:
        """Polls a second of a live run, from one client process with 16 connections, for five seconds."""
        run = self.http.post("/train", json=IDLE).raise_for_status().json()
        try:
            count, seconds = asyncio.run(poll(self.api + run["links"]["self"]))
        finally:
            self.http.delete(run["links"]["self"])
            self.http.get(run["links"]["self"], params={"wait": 60})
        return {
            "polls a second of a live run": {
                "per_second": round(count / seconds),
                "goal": ">= 1000",
            }
        }

    def submits(self) -> dict[str, Any]:
        """Submits a second beside bare MLflow run creation, both from eight threads."""
        count = 80
        client = MlflowClient(self.tracking_uri)
        experiment = client.create_experiment(f"bench-bare-{time.time_ns()}")
        bare = rate(lambda: client.create_run(experiment), count)
        hold = self.http.post("/train", json=IDLE).raise_for_status().json()
        made: list[str] = [hold["links"]["self"]]
        ours = rate(
            lambda: made.append(
                self.http.post("/train", json=TINY).raise_for_status().json()["links"]["self"]
            ),
            count,
        )
        for link in reversed(made):
            self.http.delete(link)
        return {
            "submits a second": {
                "ours_per_second": round(ours, 1),
                "bare_create_run_per_second": round(bare, 1),
                "ratio": round(ours / bare, 2),
                "goal": ">= 0.6x",
            }
        }


def main() -> None:
    """Start the servers, measure, write, stop."""
    DATA.mkdir(parents=True, exist_ok=True)
    roots = os.pathsep.join(filter(None, (str(DATA), os.environ.get("TRAINYARD_TEST_DATA"))))
    results: dict[str, Any] = {}
    with tracking() as tracking_uri:
        service = trainer(
            "boosting",
            port=free_port(),
            tracking_uri=tracking_uri,
            name="bench",
            TRAINYARD_INSTANCE="bench",
            TRAINYARD_DATA_ROOTS=roots,
            TRAINYARD_QUEUE="500",
            TRAINYARD_SLOTS="1",
            TRAINYARD_MODELS_PATH=str(HERE / "models"),
        )
        with up(service):
            bench = Bench(f"http://127.0.0.1:{service.port}", tracking_uri)
            for measure in (
                bench.first_line,
                bench.whole_run,
                bench.training_alone,
                bench.polls,
                bench.submits,
            ):
                for name, value in measure().items():
                    results[name] = value
                    print(f"{name}: {json.dumps(value)}", flush=True)
    write("boosting", results)


async def poll(url: str) -> tuple[int, float]:
    """Poll from 16 connections for five seconds: how often, and how long it took."""
    count, started = 0, time.perf_counter()

    async def one(session: aiohttp.ClientSession) -> None:
        nonlocal count
        while time.perf_counter() - started < POLL_SECONDS:
            async with session.get(url) as response:
                response.raise_for_status()
                await response.read()
            count += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one(session) for _ in range(16)))
    return count, time.perf_counter() - started


def rate(call: Callable[[], Any], count: int) -> float:
    """Calls a second from eight threads."""
    started = time.perf_counter()
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(call) for _ in range(count)]:
            done.result()
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
