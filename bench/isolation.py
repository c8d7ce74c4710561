"""`make bench-isolation`: a service's own image beside one image that holds every framework, MLflow and Airflow.

Needs a Docker engine, whose build cache it uses and adds to (some 15 GB); a stack that runs there it leaves alone. What
it changes to rebuild, it changes in a copy of the repository. Writes results/isolation.json and prints a table.
"""

import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from changing import KINDS, ONE, Copy, Kind
from engine import (
    BASE,
    build,
    docker,
    forget,
    network,
    python,
    remove,
    size_mb,
    start,
    wait_until_healthy,
)
from report import write
from resolver import resolve
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
TIMES = 3
GOALS_MB = {"boosting": 700, "tensorflow": 1900, "pytorch": 1200, "airflow": 600, "mlflow": 900}
SERVICE = ["trainyard.api.server", "mlflow"]
IMPORTS = {
    "boosting": [*SERVICE, "xgboost", "lightgbm"],
    "tensorflow": [*SERVICE, "tensorflow", "keras"],
    "pytorch": [*SERVICE, "torch", "torchvision"],
    "mlflow": ["mlflow.server"],
    "airflow": ["airflow.models", "airflow.sdk", "airflow.providers.http.operators.http"],
}
"""What a process of each image imports; one of the one image, all of it."""
CONTRADICTION = ["tensorflow>=2.15,<2.16", "keras>=3.0.0"]


class Bench:
    """The images, a container of each kind, and one method a figure."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        self.images = {name: build(copy.folder, f"services/{name}/Dockerfile") for name in GOALS_MB}
        self.images[ONE] = build(copy.folder, KINDS[1].dockerfile)
        self.built = set(self.images.values())
        self.running: dict[str, str] = {}

    def sizes(self) -> dict[str, Any]:
        """Over the base image, which all share."""
        base = size_mb(BASE)
        found = {
            f"{_key(name)}_mb": round(size_mb(image) - base) for name, image in self.images.items()
        }
        return {"size over the base image": {**found, "goals_mb": GOALS_MB}}

    def memory(self) -> dict[str, Any]:
        """Of a process that has imported what its image is for, and of one that has imported everything."""
        everything = [module for modules in IMPORTS.values() for module in modules]
        found: dict[str, Any] = {}
        for name, image in self.images.items():
            printed = python(image, HERE / "imported.py", *IMPORTS.get(name, everything))
            weighed = json.loads(printed.splitlines()[-1])
            found |= {
                f"{_key(name)}_mb": weighed["mb"],
                f"{_key(name)}_import_s": weighed["seconds"],
            }
        return {"memory of a process that has imported it": found}

    def code(self) -> dict[str, Any]:
        """A line of the service changed, until the service is healthy again."""
        return {
            "a code change to a healthy boosting service": {
                **self.rebuilds(self.copy.change_code, TIMES),
                "goal": "<= 15 s",
            }
        }

    def dependency(self) -> dict[str, Any]:
        """LightGBM's version changed, until the service is healthy again."""
        return {
            "one dependency changed, to a healthy boosting service": self.rebuilds(
                self.copy.change_dependency, 1
            )
        }

    def rebuilds(self, change: Callable[[Kind], None], times: int) -> dict[str, Any]:
        """Both in turn; the median of each and of the build in it, and each one's every time."""
        whole: dict[str, list[float]] = {kind.name: [] for kind in KINDS}
        builds: dict[str, list[float]] = {kind.name: [] for kind in KINDS}
        for _ in range(times):
            for kind in KINDS:
                change(kind)
                started = time.perf_counter()
                self.images[kind.name] = build(self.copy.folder, kind.dockerfile)
                self.built.add(self.images[kind.name])
                builds[kind.name].append(time.perf_counter() - started)
                self.replace(kind)
                whole[kind.name].append(time.perf_counter() - started)
        found = {
            f"{_key(name)}_s": round(statistics.median(seconds), 1)
            for name, seconds in whole.items()
        }
        found |= {
            f"{_key(name)}_build_s": round(statistics.median(seconds), 1)
            for name, seconds in builds.items()
        }
        return found | {
            f"{_key(name)}_each_s": [round(each, 1) for each in seconds]
            for name, seconds in whole.items()
        }

    def replace(self, kind: Kind) -> None:
        """Stop the container there is, start one of the newest image, wait until it is healthy."""
        if old := self.running.pop(kind.name, None):
            remove(old)
        self.running[kind.name] = start(
            self.images[kind.name],
            _key(kind.name),
            TRAINYARD_HOST="0.0.0.0",  # noqa: S104 - in a network of its own
            TRAINYARD_TOKEN="bench-isolation",  # noqa: S106 - of this network alone
            MLFLOW_TRACKING_URI="http://mlflow:5000",
        )
        wait_until_healthy(self.running[kind.name])

    def stop(self) -> None:
        """Take the services' containers away."""
        while self.running:
            remove(self.running.popitem()[1])

    @contextmanager
    def containers(self) -> Iterator[None]:
        """An MLflow and one service of each kind, all healthy."""
        with network(), ExitStack() as stack:
            options = (
                "--host=0.0.0.0",
                "--backend-store-uri=sqlite:////tmp/mlflow.db",
                "--allowed-hosts=mlflow:5000,127.0.0.1:5000",
            )
            mlflow = start(self.images["mlflow"], "mlflow", "server", *options)
            stack.callback(remove, mlflow)
            wait_until_healthy(mlflow)
            stack.callback(self.stop)
            for kind in KINDS:
                self.replace(kind)
            yield


def resolutions(copy: Copy) -> Iterator[tuple[str, dict[str, Any]]]:
    """What can stand in one environment, in the resolver's words."""
    as_ours = [
        f"apache-airflow=={copy.locked('airflow')['apache-airflow']}",
        f"fastapi=={copy.locked('boosting')['fastapi']}",
    ]
    for requirements in (CONTRADICTION, as_ours):
        found = resolve(requirements)
        yield " with ".join(requirements), {"resolves": bool(found.pins), "resolver": found.words}
    lines = (copy.folder / KINDS[1].source).read_text().splitlines()
    newest = resolve([*lines, "torch", "torchvision"])
    named = (
        "xgboost-cpu",
        "lightgbm",
        "tensorflow-cpu",
        "keras",
        "torch",
        "mlflow",
        "apache-airflow",
        "fastapi",
        "pyarrow",
    )
    yield (
        "the newest of everything",
        {
            "resolves": bool(newest.pins),
            "packages": len(newest.pins),
            **{name: newest.pins.get(name) for name in named},
        },
    )
    yield (
        "packages of which one image has another version than the services",
        dict(copy.held_back()),
    )


def table(results: dict[str, Any]) -> Table:
    """The figures of the two side by side."""
    found = Table("", "boosting", "tensorflow", "pytorch", "airflow", "mlflow", ONE)
    for name, value in results.items():
        cells = [
            next(
                (value[key] for unit in ("mb", "s") if (key := f"{_key(column)}_{unit}") in value),
                None,
            )
            for column in (*GOALS_MB, ONE)
        ]
        if any(cell is not None for cell in cells):
            unit = "s" if "boosting_s" in value else "MB"
            found.add_row(name, *("" if cell is None else f"{cell:,} {unit}" for cell in cells))
    return found


def main() -> None:
    """Build, measure, write, and leave nothing but the build cache."""
    results: dict[str, Any] = {}
    busy: list[float] = []

    def note(found: dict[str, Any]) -> None:
        results.update(found)
        busy.append(round(os.getloadavg()[0], 1))
        write("isolation", results | {"load average of the machine": {"after_each_figure": busy}})
        for name, value in found.items():
            print(f"{name}: {json.dumps(value)}", flush=True)

    docker("info")
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that containers are taken away then too
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        copy = Copy(Path(folder))
        note(dict(resolutions(copy)))
        bench = Bench(copy)
        try:
            note(bench.sizes())
            note(bench.memory())
            with bench.containers():
                note(bench.code())
                note(bench.dependency())
        finally:
            for image in bench.built:
                forget(image)
    Console(width=140).print(table(results))


def _key(name: str) -> str:
    return name.replace(" ", "_")


if __name__ == "__main__":
    main()
