"""`make bench-host-kills`: runs, and runs of several workers, on three hosts while processes are killed and lines are cut.

The hosts are network namespaces on this machine; where there can be none, it says so and ends. Settings: HOST_KILLS (50),
KILLS_SEED (printed), KILLS_SECONDS between two kills at most (10). Writes results/host_kills.json, and fails when a run was
lost, made twice, not ended, ended otherwise in MLflow, ended for a reason that says nothing, or left something on a host.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from typing import Any

import httpx
from host_kill_targets import HostTargets, kinds
from host_places import TOKEN, Lab, check_namespaces, hosts
from kill_callers import Callers
from kill_count import Ends, in_mlflow, in_service
from report import write

KILLS = int(os.environ.get("HOST_KILLS", "50"))
SEED = int(os.environ.get("KILLS_SEED", str(time.time_ns() % 1_000_000)))
MOST_SECONDS_BETWEEN = float(os.environ.get("KILLS_SECONDS", "10"))
MOST_RUNS_A_KILL = 30
DURING_RECOVERY = 0.3
"""How many kills do not wait until what was lost before is there again."""
RECOVERY_SECONDS, QUIET_SECONDS = 180.0, 420.0
LEASE_SECONDS = "15"
SEVERAL = 0.35
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
DATA = {"source": "builtin", "name": "breast_cancer"}


def request(chance: random.Random) -> dict[str, Any]:
    """A run of seconds: of one worker that only counts, or of two or three that train."""
    of_all = {"data": DATA, "max_attempts": chance.randint(2, 6), "on_existing": "attach"}
    if chance.random() < SEVERAL:
        resources = {"workers": chance.randint(2, 3)}
        params = {"n_estimators": chance.randint(50, 600), "early_stopping_rounds": None}
        return {
            "model": "xgboost_classifier",
            "params": params,
            "resources": resources,
            **of_all,
        }
    return {"model": "brief", "params": {"rounds": chance.randint(1, 400)}, **of_all}


def main() -> None:
    """Start, submit and take away, count, start the service once more, count again, write."""
    check_namespaces()
    print(f"{KILLS} kills and cuts, KILLS_SEED={SEED}", flush=True)
    chance = random.Random(SEED)  # noqa: S311 - a seeded choice, no secret
    variables = {"TRAINYARD_HOST_LEASE_SECONDS": LEASE_SECONDS, "TRAINYARD_QUEUE": "12"}
    with hosts(**variables) as lab:
        http = httpx.Client(timeout=60, trust_env=False, headers=HEADERS)
        url = lab.yard.service.url
        callers = Callers(url, SEED, MOST_RUNS_A_KILL * KILLS, http=http, request=request)
        found = HostTargets(lab, chance)
        began = time.monotonic()
        take_away_while_they_submit(callers, found, chance)
        slowest = settle(callers, found)
        seconds = time.monotonic() - began
        ends = ends_of(callers, lab)
        found.take_away("service")
        settle(callers, found)
        later = ends_of(callers, lab)
        left = [str(each) for each in lab.home.glob("[abc]/hosted/*/*/request.json")]
    report(
        found, callers, seconds, slowest, ends, {**ends.wrong, "changed": ends.changed(later)}, left
    )


def take_away_while_they_submit(
    callers: Callers, found: HostTargets, chance: random.Random
) -> None:
    """One after the other, at random moments; then no more runs are submitted, and those that are asked for are answered."""
    threads = callers.start()
    for kind in kinds(KILLS, chance):
        if chance.random() > DURING_RECOVERY:
            recover(found)
        found.keep_for(chance.uniform(0.5, MOST_SECONDS_BETWEEN))
        while not found.take_away(kind):
            found.keep_for(0.2)
        found.done[kind] += 1
        print(f"{len(callers.accepted)} runs, {dict(found.done)}", flush=True)
    last = threading.Thread(target=threads.shutdown, kwargs={"cancel_futures": True})
    last.start()
    deadline = time.monotonic() + QUIET_SECONDS
    while last.is_alive():
        found.keep_for(0.5)
        if time.monotonic() > deadline:
            callers.over.set()


def recover(found: HostTargets) -> None:
    """Wait until all is there again; not for ever."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while not found.whole and time.monotonic() < deadline:
        found.keep_for(0.5)


def settle(callers: Callers, found: HostTargets) -> float:
    """Take nothing more away, and wait until every run has ended, or time is up: how long that took."""
    began = time.monotonic()
    while time.monotonic() < began + QUIET_SECONDS:
        found.keep_for(0.5)
        if all(none_under_way(callers, status) for status in ("SCHEDULED", "RUNNING")):
            break
    return time.monotonic() - began


def none_under_way(callers: Callers, status: str) -> bool:
    """Whether the service answers and has no run of this status."""
    try:
        answer = callers.http.get(f"{callers.api}/train", params={"status": status, "limit": 1})
        return answer.is_success and not answer.json()["runs"]
    except httpx.TransportError:
        return False


def ends_of(callers: Callers, lab: Lab) -> Ends:
    """How the service and MLflow say that the accepted runs ended."""
    told = in_service(callers.api, [*callers.accepted.values()], HEADERS)
    return Ends(told, in_mlflow(lab.yard.mlflow.url, lab.home.name))


def report(  # noqa: PLR0913, PLR0917 - what is told
    found: HostTargets,
    callers: Callers,
    seconds: float,
    slowest: float,
    ends: Ends,
    wrong: dict[str, set[str]],
    left: list[str],
) -> None:
    """Write it, and fail where the guarantee does not hold."""
    runs = [run for run in ends.told.values() if run]
    failed = [run for run in runs if run["status"] == "FAILED"]
    told = {
        "seed": SEED,
        "seconds": round(seconds),
        "until_all_had_ended_s": round(slowest),
        "taken_away": dict(found.done),
        "ended_by_themselves": dict(found.ended_by_themselves),
        "accepted": len(callers.accepted),
        "of_several_workers": sum(run["workers"] > 1 for run in runs),
        "ended": ends.statuses,
        "reasons": dict(Counter(run["reason"] for run in failed)),
        "tried_again": ends.tried_again,
        "refused": len(callers.refused),
        "left_on_hosts": len(left),
        **{name: len(which) for name, which in wrong.items()},
    }
    write("host_kills", told)
    print(json.dumps(told, indent=2))
    for name, which in {**wrong, "refused": callers.refused.items(), "left": left}.items():
        if which:
            print(f"{name}: {sorted(which)[:5]}")
    if any(wrong.values()) or callers.refused or left:
        sys.exit("the guarantee does not hold")


if __name__ == "__main__":
    main()
