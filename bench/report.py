"""What the benches share: medians side by side, the times in a run, plain scripts, and the file of the figures."""

import json
import os
import platform
import statistics
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent


def figure(ours: list[float], theirs: list[float], unit: str, *, goal: str) -> dict[str, Any]:
    """Medians side by side, and their ratio."""
    factor = 1000 if unit == "ms" else 1
    a, b = statistics.median(ours) * factor, statistics.median(theirs) * factor
    return {
        f"service_{unit}": round(a, 3),
        f"plain_{unit}": round(b, 3),
        "ratio": round(a / b, 3),
        "goal": goal,
    }


def ms(values: list[float]) -> float:
    """The median in milliseconds."""
    return round(statistics.median(values) * 1000, 1)


def at(text: str) -> float:
    """A time of the API as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def phase_at(run: dict[str, Any], phase: str) -> float:
    """When the run entered a phase."""
    return at(next(step["at"] for step in run["transitions"] if step["phase"] == phase))


def output_of(command: list[Any]) -> str:
    """What a plain script prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def seconds_of(command: list[Any]) -> float:
    """How long a plain script takes."""
    started = time.perf_counter()
    output_of(command)
    return time.perf_counter() - started


def memory_of(pid: int) -> int:
    """Of a process and all below it, in bytes; a page that several of them share counts once."""
    process, total = psutil.Process(pid), 0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += each.memory_full_info().pss
    return total


def write(name: str, results: dict[str, Any]) -> None:
    """Keep the figures with the machine they are of, in results/NAME.json."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    machine = {
        "cpus": os.cpu_count(),
        "processor": processor(),
        "python": platform.python_version(),
    }
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "results": results,
    }
    (folder / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")


def processor() -> str:
    """What the processor calls itself."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        "unknown",
    )
