"""A table of five times the memory of a rank, trained on by XGBoost's ranks on three hosts, and whole on one of them.

A part of `make bench-hosts` (HOSTS_PARTS=memory). HOSTS_MEMORY_MB is the memory of a rank (1000). Where this user may make
control groups of version 1, the kernel holds each host to that and what its own programs take meanwhile.
"""

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from host_places import Lab, caller_of, hosts
from memory_groups import memory_group

from caller import Caller  # isort: skip - host_places puts scripts/ on the path
from tables import normal_table
from wide import phases

MEMORY_MB = int(os.environ.get("HOSTS_MEMORY_MB", "1000"))
TIMES, COLUMNS, WORKERS = 5, 100, 3
HOST_MB = 250
"""What a host may take besides: its part of the cluster, the actor, and the process that waits for the next run."""
ROUNDS = 5
LOOK_SECONDS = 0.2


def memory() -> dict[str, Any]:
    """Both trainings: their metrics, what each took, and what the ranks held."""
    table_mb = MEMORY_MB * TIMES
    millions = -(-(table_mb << 20) // (8 * (COLUMNS + 1)) // 10_000) / 100
    path = normal_table(millions, COLUMNS)
    data = {"source": "file", "uri": str(path), "target": "y"}
    request = {"model": "xgboost_classifier", "params": {"n_estimators": ROUNDS}, "data": data}
    told: dict[str, Any] = {"table": f"{path.name}, {table_mb:,} MB as numbers"}
    with hosts() as lab:
        caller = caller_of(lab.yard.service.url)
        with ExitStack() as stack:
            held = [
                stack.enter_context(memory_group(f"-{name}", MEMORY_MB + HOST_MB, place.pids))
                for name, place in lab.hosts.items()
            ]
            told["hosts_held_to_mb"] = MEMORY_MB + HOST_MB if all(held) else None
            resources = {"workers": WORKERS, "memory_mb": MEMORY_MB}
            told[f"{WORKERS} hosts"] = trained(lab, caller, request | {"resources": resources})
            told["refused_pages"] = [
                int((group / "memory.failcnt").read_text()) for group in filter(None, held)
            ]
        told["whole, on one host"] = trained(lab, caller, request)
    return told


def trained(lab: Lab, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Metrics, seconds a phase and of the processor, and the most that each process held."""
    submitted = caller.submit(request)
    with peaks_of(lab, submitted["run_id"]) as peaks:
        run = caller.ended(submitted)
    if run["status"] != "FINISHED":
        raise RuntimeError(f"{run['status']} {run['reason']}: {run['message']}")
    return {
        **{name: round(run["metrics"][name], 5) for name in ("test_log_loss", "test_roc_auc")},
        **phases(run),
        "cpu_seconds": round(run["usage"]["cpu_seconds"]),
        "peak_memory_mb_of_all": run["usage"]["peak_memory_mb"],
        "held_mb_of_each": sorted(own for own, _ in peaks.values()),
        "pages_of_files_mb_of_each": sorted(files for _, files in peaks.values()),
        "messages": [step["message"] for step in run["transitions"] if step["message"]],
    }


@contextmanager
def peaks_of(lab: Lab, run_id: str) -> Iterator[dict[int, tuple[int, int]]]:
    """The most MB that each process of the run has resident, without and of pages of files, as the kernel counts them.

    What it has in common with the process that it was forked from is counted to it whole.
    """
    found: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            for pid in lab.pids_of(run_id):
                with suppress(OSError, KeyError):
                    own, files = _resident(pid)
                    found[pid] = max(own, found[pid][0]), max(files, found[pid][1])

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


def _resident(pid: int) -> tuple[int, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    said = dict(line.split(":", 1) for line in lines)

    def mb(name: str) -> int:
        return int(said[name].split()[0]) >> 10

    return mb("RssAnon") + mb("RssShmem"), mb("RssFile")
