"""`make bench-search-kills`: searches in a real service while their processes are killed; each must end with all its trials.

Settings: SEARCH_KILLS (20), KILLS_SEED (printed), and KILLS_SECONDS between two kills at most (6). MLflow is away for
30 s once. Writes results/search_kills.json, and fails when a search has not ended FINISHED with the trials that it was
asked for, has another number of them in MLflow, more than one model, or left a run unended.
"""

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from mlflow import MlflowClient
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from kill_callers import Callers  # noqa: E402 - scripts/ is on the path only now
from kill_targets import Targets  # noqa: E402
from kills import settle, targets, until_ready  # noqa: E402
from report import write  # noqa: E402

KILLS = int(os.environ.get("SEARCH_KILLS", "20"))
SEED = int(os.environ.get("KILLS_SEED", str(time.time_ns() % 1_000_000)))
MOST_SECONDS_BETWEEN = float(os.environ.get("KILLS_SECONDS", "6"))
KINDS = ("trial", "search", "forker", "fork server", "service")
AWAY_SECONDS = 30.0
LONGEST_LOOK_SECONDS = 60.0
SEARCHES, TRIALS = 4, 60
NOT_COUNTED = ("lost", "stopped", "ended with its run")
REQUEST: dict[str, Any] = {
    "model": "brief",
    "data": {"source": "builtin", "name": "iris"},
    "experiment": "search-kills",
    "max_attempts": 10,
    "on_existing": "attach",
    "search": {
        "space": {"rounds": {"low": 10, "high": 60}},
        "trials": TRIALS,
        "parallel": 2,
        "sampler": "random",
        "pruner": "none",
    },
}


def main() -> None:
    """Start, submit, kill, count, write."""
    print(f"{KILLS} kills, KILLS_SEED={SEED}", flush=True)
    chance, instance = random.Random(SEED), f"search-kills-{SEED}"  # noqa: S311 - a seeded choice, no secret
    with targets(chance, instance) as found:
        callers = Callers(f"http://127.0.0.1:{found.service.program.port}", SEED, SEARCHES)
        began = time.monotonic()
        run_ids = [asked(callers, number) for number in range(SEARCHES)]
        kill(callers, found, chance)
        settle(callers, found)
        seconds = time.monotonic() - began
        runs = [httpx.get(f"{callers.api}/train/{each}", timeout=60).json() for each in run_ids]
        killed = sum(found.killed.values())
        wrong = [] if killed == KILLS else [f"{killed} of {KILLS} kills: the searches were over"]
        wrong += faults(runs, MlflowClient(f"http://127.0.0.1:{found.mlflow.program.port}"))
    report = {
        "seed": SEED,
        "seconds": round(seconds),
        "killed": dict(found.killed),
        "mlflow_away_s": AWAY_SECONDS,
        "searches": SEARCHES,
        "trials": TRIALS,
        "ended": [run["status"] for run in runs],
        "attempts": [run["attempt"] for run in runs],
        "faults": wrong,
    }
    write("search_kills", report)
    print(json.dumps(report, indent=2))
    if wrong:
        sys.exit("the guarantee does not hold")


def asked(callers: Callers, number: int) -> str:
    """The id of one search, submitted."""
    headers = {"Idempotency-Key": f"{SEED}-search-{number}"}
    return str(callers.ask("POST", "/train", json=REQUEST, headers=headers)["run_id"])


def kill(callers: Callers, found: Targets, chance: random.Random) -> None:
    """Kill one process after another at random moments, and have MLflow away half-way."""
    for number in range(KILLS):
        if number == KILLS // 2:
            found.mlflow_away(AWAY_SECONDS)
        until_ready(callers, found)
        time.sleep(chance.uniform(0.5, MOST_SECONDS_BETWEEN))
        kill_a(KINDS[number % len(KINDS)], found)
        print(f"{found.killed}", flush=True)


@retry(
    retry=retry_if_result(lambda killed: not killed),
    stop=stop_after_delay(LONGEST_LOOK_SECONDS),
    wait=wait_fixed(0.1),
    retry_error_callback=lambda _: False,
)
def kill_a(kind: str, found: Targets) -> bool:
    """Kill one as soon as there is one: between two attempts there is no trial, and no search."""
    return found.kill_one(kind)


def faults(runs: list[dict[str, Any]], client: MlflowClient) -> list[str]:
    """What is wrong with the searches."""
    found = []
    for run in runs:
        if run["status"] != "FINISHED":
            found.append(f"{run['run_id']} {run['status']}: {run['message']}")
            continue
        parent = f"tags.`mlflow.parentRunId` = '{run['run_id']}'"
        trials = client.search_runs([run["experiment_id"]], parent, max_results=1000)
        ends = [each.data.tags.get("trainyard.trial_end", "") for each in trials]
        numbers = [each.data.tags["trainyard.trial"] for each in trials]
        counted = [each for each in ends if not each.startswith(NOT_COUNTED)]
        source = f"source_run_id = '{run['run_id']}'"
        models = client.search_logged_models([run["experiment_id"]], filter_string=source)
        said = {
            f"{run['searched']['trials']} trials told": run["searched"]["trials"] != TRIALS,
            f"{len(counted)} trials in MLflow": len(counted) != TRIALS,
            "a trial twice in MLflow": len(numbers) != len(set(numbers)),
            f"{len(models)} models": len(models) != 1,
            "a trial unended": any(each.info.status == "RUNNING" for each in trials),
        }
        found += [f"{run['run_id']}: {what}" for what, is_so in said.items() if is_so]
    return found


if __name__ == "__main__":
    main()
