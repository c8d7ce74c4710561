"""`make bench-many-hosts`: what the service that is the front of many hosts takes for each run, line, poll and write.

A real service over a real MLflow, with 20 hosts of 5 slots whose runs are no processes (`fake_hosts.py`). MANY_RUNS (2000)
runs go through them; then MANY_LIVE (100) stay, and are followed. Writes results/many_hosts.json, and fails when a run was
lost, made twice, or ended otherwise in MLflow. What is told are processor seconds, which other work on the machine changes
little, and of which a service can use one a second.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psutil
from mlflow import MlflowClient
from mlflow.entities import Metric

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from background import free_port  # noqa: E402 - scripts/ is on the path only now
from caller import up  # noqa: E402
from kill_count import Ends, in_mlflow, in_service  # noqa: E402
from programs import HOME, ROOT, mlflow, trainer  # noqa: E402
from report import write  # noqa: E402
from sessions import Started  # noqa: E402

RUNS, LIVE = int(os.environ.get("MANY_RUNS", "2000")), int(os.environ.get("MANY_LIVE", "100"))
HOSTS, SLOTS = 20, 5
POLLS = 200
SECONDS = 20.0
ROUNDS = 3
WRITES = 200
ENDS_WITHIN_SECONDS = 1200.0
REQUEST: dict[str, Any] = {"model": "brief", "data": {"source": "builtin", "name": "iris"}}


class Front:
    """The service and its MLflow, and what they have used of the processor."""

    def __init__(self, api: str, service: Started, tracking_uri: str, server: Started) -> None:
        self.api, self.tracking_uri = api, tracking_uri
        self._service, self._server = psutil.Process(service.pid), psutil.Process(server.pid)
        self.http = httpx.Client(base_url=api, timeout=120, trust_env=False)

    @property
    def seconds(self) -> float:
        """Of the processor, that the service has used: its own process, where all of HTTP and all lines are."""
        used = self._service.cpu_times()
        return float(used.user + used.system)

    @property
    def mlflow_seconds(self) -> float:
        """The same of MLflow's processes."""
        every = [self._server, *self._server.children(recursive=True)]
        return float(sum(sum(each.cpu_times()[:2]) for each in every))

    @property
    def megabytes(self) -> float:
        """That the service's process has for itself."""
        return float(self._service.memory_full_info().uss / 1e6)

    def submit(self, rounds: int) -> str:
        """The id of one run of so many seconds."""
        request = REQUEST | {"params": {"rounds": rounds}}
        return str(self.http.post("/train", json=request).raise_for_status().json()["run_id"])

    def used_in(self, seconds: float) -> float:
        """Processor seconds a second, over so many."""
        before, began = self.seconds, time.monotonic()
        time.sleep(seconds)
        return (self.seconds - before) / (time.monotonic() - began)

    def until(self, count: Callable[[], int], wanted: int) -> None:
        """Wait until there are so many; not for ever."""
        deadline = time.monotonic() + ENDS_WITHIN_SECONDS
        while count() != wanted and time.monotonic() < deadline:
            time.sleep(0.5)

    def running(self) -> int:
        """How many runs the hosts have."""
        return int(self.http.get("/capacity").json()["slots"]["used"])

    def under_way(self) -> int:
        """How many are running or waiting."""
        slots = self.http.get("/capacity").json()["slots"]
        return int(slots["used"] + slots["waited_for"])


def through(front: Front, instance: str) -> dict[str, Any]:
    """All runs, submitted from eight threads, to their ends."""
    idle = front.used_in(SECONDS)
    memory, before, theirs = front.megabytes, front.seconds, front.mlflow_seconds
    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: front.submit(ROUNDS), range(RUNS)))
    submitted = time.monotonic() - began
    front.until(front.under_way, 0)
    seconds = time.monotonic() - began
    used, mlflow_used = front.seconds - before, front.mlflow_seconds - theirs
    told = in_service(front.api, ids)
    deadline = time.monotonic() + ENDS_WITHIN_SECONDS
    ends = Ends(told, in_mlflow(front.tracking_uri, instance))
    while ends.unended and time.monotonic() < deadline:
        time.sleep(1)
        ends = Ends(in_service(front.api, ids), in_mlflow(front.tracking_uri, instance))
    wrong = {name: len(each) for name, each in ends.wrong.items()}
    if any(wrong.values()) or ends.statuses != {"FINISHED": RUNS} or len(ends.kept) != RUNS + LIVE:
        sys.exit(
            f"the guarantee does not hold: {wrong}, {ends.statuses}, {len(ends.kept)} in MLflow"
        )
    return {
        "runs": RUNS,
        "submits_a_second": round(RUNS / submitted, 1),
        "seconds": round(seconds),
        "lost_or_twice_or_differing": 0,
        "front_cpu_ms_a_run": ms((used - idle * seconds) / RUNS),
        "mlflow_cpu_ms_a_run": ms(mlflow_used / RUNS),
        "front_memory_before_mb": round(memory),
        "front_memory_after_mb": round(front.megabytes),
        "front_cpu_ms_a_second_of_a_host": ms(idle / HOSTS),
    }


def lines(front: Front) -> dict[str, Any]:
    """Live runs that report each second: what each costs the front, and then each poll that is held for one."""
    idle, memory = front.used_in(SECONDS), front.megabytes
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: front.submit(10_000), range(LIVE)))
    front.until(front.running, LIVE)
    time.sleep(5)
    live, held = front.used_in(SECONDS), front.megabytes
    answered, polled, with_polls = asyncio.run(polls(front, ids))
    for run_id in ids:
        front.http.delete(f"/train/{run_id}")
    front.until(front.under_way, 0)
    return {
        "live_runs": LIVE,
        "front_cpu_ms_a_second_of_a_live_run": ms((live - idle) / LIVE),
        "memory_kb_a_live_run": round((held - memory) * 1000 / LIVE),
        "polls_held": POLLS,
        "polls_answered_a_second": round(answered, 1),
        "front_cpu_ms_a_long_poll": ms((polled - live) / answered),
        "memory_kb_a_held_poll": round((with_polls - held) * 1000 / POLLS),
    }


async def polls(front: Front, ids: list[str]) -> tuple[float, float, float]:
    """Polls answered a second, processor seconds a second meanwhile, and the memory then."""
    count = 0

    async def follow(http: aiohttp.ClientSession, run_id: str) -> None:
        nonlocal count
        since = 0
        while True:
            params = {"wait": 60, "since": since}
            async with http.get(f"/train/{run_id}", params=params) as answer:
                since = (await answer.json())["version"]
            count += 1

    async with aiohttp.ClientSession(front.api, connector=aiohttp.TCPConnector(limit=0)) as http:
        tasks = [asyncio.create_task(follow(http, ids[n % len(ids)])) for n in range(POLLS)]
        await asyncio.sleep(3)
        first, before, began = count, front.seconds, time.monotonic()
        await asyncio.sleep(SECONDS)
        took = time.monotonic() - began
        found = (count - first) / took, (front.seconds - before) / took, front.megabytes
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found


def writes(front: Front) -> dict[str, Any]:
    """What MLflow takes for one write of a run's process: ten metrics of a round."""
    client = MlflowClient(front.tracking_uri)
    run_id = client.create_run(client.create_experiment(f"writes-{time.time_ns()}")).info.run_id
    before, began = front.mlflow_seconds, time.monotonic()
    for step in range(WRITES):
        client.log_batch(run_id, [Metric(f"m{n}", 1.0, 0, step) for n in range(10)])
    took = time.monotonic() - began
    return {
        "mlflow_cpu_ms_a_write": ms((front.mlflow_seconds - before) / WRITES),
        "mlflow_ms_a_write": ms(took / WRITES),
    }


def ms(seconds: float) -> float:
    """In milliseconds."""
    return round(seconds * 1000, 2)


def main() -> None:
    """Start, measure, write, stop."""
    instance, port = f"many-{time.time_ns() % 1_000_000}", free_port()
    home = HOME / "bench" / instance
    (home / "hosted").mkdir(parents=True)
    server = mlflow(port=free_port(), name=f"{instance}-mlflow", workers=1)
    with up(server) as mlflow_started:
        tracking_uri = f"http://127.0.0.1:{server.port}"
        service = trainer(
            "boosting",
            port=port,
            tracking_uri=tracking_uri,
            name=instance,
            TRAINYARD_INSTANCE=instance,
            TRAINYARD_ENGINE="ray",
            TRAINYARD_SERVICES=f"{instance}=http://127.0.0.1:{port}",
            RAY_ADDRESS="127.0.0.1:1",
            TRAINYARD_QUEUE=str(RUNS + LIVE),
            TRAINYARD_CHANGES_A_MINUTE="0",
            TRAINYARD_MODELS_PATH=str(HERE / "models"),
            FAKE_HOSTS=str(HOSTS),
            FAKE_SLOTS=str(SLOTS),
            FAKE_HOME=str(home),
        )
        python = ROOT / ".venvs/boosting/bin/python"
        with up(replace(service, command=[python, HERE / "front.py"])) as started:
            front = Front(f"http://127.0.0.1:{port}", started, tracking_uri, mlflow_started)
            while front.http.get("/capacity").json()["slots"]["total"] != HOSTS * SLOTS:
                time.sleep(0.2)
            found: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 1)}
            for part in (
                lambda: lines(front),
                lambda: writes(front),
                lambda: through(front, instance),
            ):
                found |= part()
                print(json.dumps(found, indent=2), flush=True)
    write("many_hosts", {**found, "load_after": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
