"""`make bench-load`: how quickly a service answers while many ask: 200 that poll each second, 20 that hold long polls.

Four runs train meanwhile: once four that only report, which shows the service itself, and once four of XGBoost, which
take all the processors that there are. Two minutes. Writes results/load.json.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from background import free_port  # noqa: E402 - scripts/ is on the path only now
from caller import tracking, up  # noqa: E402
from programs import trainer  # noqa: E402
from report import ms, write  # noqa: E402

CLIENTS, CONSOLES, RUNS = 200, 20, 4
POLL_SECONDS, LOAD_SECONDS = 1.0, 20.0
SUBMITS = 20
DATA = {"source": "builtin", "name": "digits"}
REPORTING: dict[str, Any] = {"model": "idle", "params": {"rounds": 10_000}, "data": DATA}
TRAINING: dict[str, Any] = {
    "model": "xgboost_classifier",
    "params": {"n_estimators": 10_000, "early_stopping_rounds": None},
    "data": DATA,
}
WAITING: dict[str, Any] = {
    "model": "xgboost_classifier",
    "data": {"source": "builtin", "name": "iris"},
}


class Load:
    """Callers of one service, in one event loop."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.answered: list[float] = []
        """Seconds from each poll to its answer."""

    async def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The answer, as JSON."""
        async with self.http.request(method, path, **options) as answer:
            answer.raise_for_status()
            return dict(await answer.json())

    async def poll(self, path: str, first: float) -> None:
        """Ask how the run is, once a second."""
        await asyncio.sleep(first)
        while True:
            before = time.perf_counter()
            await self.ask("GET", path)
            self.answered.append(time.perf_counter() - before)
            await asyncio.sleep(max(0.0, before + POLL_SECONDS - time.perf_counter()))

    async def follow(self, path: str) -> None:
        """Hold a long poll, and ask again with each change."""
        since = 0
        while True:
            since = (await self.ask("GET", path, params={"wait": 60, "since": since}))["version"]

    async def submits(self) -> list[float]:
        """Seconds of each submit, one after the other; what was submitted is cancelled again."""
        took = []
        for _ in range(SUBMITS):
            before = time.perf_counter()
            run = await self.ask("POST", "/train", json=WAITING)
            took.append(time.perf_counter() - before)
            await self.ask("DELETE", run["links"]["self"])
        return took

    @asynccontextmanager
    async def running(self, request: dict[str, Any]) -> AsyncIterator[list[str]]:
        """Runs that train, cancelled in the end: where each is."""
        links = [
            (await self.ask("POST", "/train", json=request))["links"]["self"] for _ in range(RUNS)
        ]
        try:
            for link in links:
                run = await self.ask("GET", link)
                while run["phase"] != "training":
                    run = await self.ask("GET", link, params={"wait": 5, "since": run["version"]})
            yield links
        finally:
            for link in links:
                await self.ask("DELETE", link)
                await self.ask("GET", link, params={"wait": 30})

    async def measure(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answers' times while these runs train, first with nobody else there and then with everybody."""
        async with self.running(request) as links:
            quiet = await self.submits()
            self.answered.clear()
            callers = [
                *(self.poll(links[n % RUNS], n / CLIENTS * POLL_SECONDS) for n in range(CLIENTS)),
                *(self.follow(links[n % RUNS]) for n in range(CONSOLES)),
            ]
            tasks = [asyncio.create_task(each) for each in callers]
            until = time.perf_counter() + LOAD_SECONDS
            loaded: list[float] = []
            while time.perf_counter() < until:
                loaded += await self.submits()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        failed = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
        if failed:
            raise RuntimeError(f"{len(failed)} callers had an error, the first: {failed[0]!r}")
        return {
            "polls": len(self.answered),
            "poll_median_ms": ms(self.answered),
            "poll_p99_ms": round(statistics.quantiles(self.answered, n=100)[98] * 1000, 1),
            "submit_quiet_ms": ms(quiet),
            "submit_loaded_ms": ms(loaded),
            "submit_ratio": round(statistics.median(loaded) / statistics.median(quiet), 2),
            "goal": "p99 <= 50 ms, submit <= 2x",
        }


async def measured(api: str) -> dict[str, Any]:
    """Both figures."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(api, connector=connector) as http:
        return {
            "while four runs report": await Load(http).measure(REPORTING),
            "while four runs train": await Load(http).measure(TRAINING),
        }


def main() -> None:
    """Start the servers, measure, write, stop."""
    with tracking() as tracking_uri:
        service = trainer(
            "boosting",
            port=free_port(),
            tracking_uri=tracking_uri,
            name="bench-load",
            TRAINYARD_INSTANCE="bench-load",
            TRAINYARD_SLOTS=str(RUNS),
            TRAINYARD_CHANGES_A_MINUTE="0",
            TRAINYARD_MODELS_PATH=str(HERE / "models"),
        )
        with up(service):
            results = asyncio.run(measured(f"http://127.0.0.1:{service.port}"))
    print(json.dumps(results, indent=2))
    write("load", results)


if __name__ == "__main__":
    main()
