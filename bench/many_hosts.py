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
from typing import Any, TypeVar

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
SETTLING_SECONDS = 5.0
"""After the last of them began: a start costs what many seconds of a live run do, and is not to be counted with them."""
PAUSE_SECONDS = 0.5
ROUNDS = 3
WRITES = 200
ENDS_WITHIN_SECONDS = 1200.0
T = TypeVar("T")
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

    def until(self, slots: int, *states: str) -> None:
        """Wait until so many slots are in these states, such as `used`; not for ever."""
        until(
            lambda: self.http.get("/capacity").json()["slots"],
            lambda told: sum(told[state] for state in states) == slots,
        )


def until(look: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """What is seen once that holds of it, or time is up: then it shows what is wrong."""
    deadline = time.monotonic() + ENDS_WITHIN_SECONDS
    while not holds(seen := look()) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return seen


def through(front: Front, instance: str) -> dict[str, Any]:
    """All runs, submitted from eight threads, to their ends."""
    idle = front.used_in(SECONDS)
    memory, before, theirs = front.megabytes, front.seconds, front.mlflow_seconds
    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: front.submit(ROUNDS), range(RUNS)))
    submitted = time.monotonic() - began
    front.until(0, "used", "waited_for")
    seconds = time.monotonic() - began
    used, mlflow_used = front.seconds - before, front.mlflow_seconds - theirs
    ends = until(lambda: ends_of(front, ids, instance), lambda ends: not ends.unended)
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


def ends_of(front: Front, ids: list[str], instance: str) -> Ends:
    """How the service and MLflow say that these runs ended."""
    return Ends(in_service(front.api, ids), in_mlflow(front.tracking_uri, instance))


def lines(front: Front) -> dict[str, Any]:
    """Live runs that report each second: what each costs the front, and then each poll that is held for one."""
    idle, memory = front.used_in(SECONDS), front.megabytes
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: front.submit(10_000), range(LIVE)))
    front.until(LIVE, "used")
    time.sleep(SETTLING_SECONDS)
    live, held = front.used_in(SECONDS), front.megabytes
    answered, polled, with_polls = asyncio.run(polls(front, ids))
    for run_id in ids:
        front.http.delete(f"/train/{run_id}")
    front.until(0, "used", "waited_for")
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
            front.until(HOSTS * SLOTS, "total")
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
