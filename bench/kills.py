"""`make bench-kills`: runs through a real service while its processes are killed; each must end, once.

Settings: KILLS_RUNS (1000), KILLS_SEED (printed), KILLS_SECONDS between two kills at most (10). What is random but the
scheduling of the machine follows from the seed. Writes results/kills.json, and fails when a run was lost, made twice,
not ended, ended otherwise in MLflow, or changed its end.
"""

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from background import answers, free_port  # noqa: E402 - scripts/ is on the path only now
from kill_callers import Callers  # noqa: E402
from kill_count import Ends, in_mlflow, in_service  # noqa: E402
from kill_targets import Restarted, Targets  # noqa: E402
from programs import mlflow, trainer  # noqa: E402
from report import write  # noqa: E402

RUNS = int(os.environ.get("KILLS_RUNS", "1000"))
SEED = int(os.environ.get("KILLS_SEED", str(time.time_ns() % 1_000_000)))
MOST_SECONDS_BETWEEN = float(os.environ.get("KILLS_SECONDS", "10"))
DEADLINE_SECONDS = 300.0 + 4.0 * RUNS
QUIET_SECONDS = 300.0
"""For what is under way after the last kill."""
DURING_RECOVERY = 0.25
"""How many kills do not wait until the service has recovered from the one before; with more, nothing is trained."""
TOLD_EVERY_SECONDS = 15.0
EXAMPLES = 5


def main() -> None:
    """Start, submit and kill, count, start once more, count again, write."""
    print(f"{RUNS} runs, KILLS_SEED={SEED}", flush=True)
    chance, instance = random.Random(SEED), f"kills-{SEED}"  # noqa: S311 - a seeded choice, no secret
    with targets(chance, instance) as found:
        before = time.monotonic()
        callers = Callers(f"http://127.0.0.1:{found.service.program.port}", SEED, RUNS)
        kill_while_they_submit(callers, found, chance)
        settle(callers, found)
        seconds = time.monotonic() - before
        ends = ends_of(callers, found, instance)
        found.kill_the_service()
        settle(callers, found)
        later = ends_of(callers, found, instance)
    wrong = {**ends.wrong, "changed": ends.changed(later)}
    report = {
        "seed": SEED,
        "runs": RUNS,
        "seconds": round(seconds),
        "killed": dict(found.killed),
        "ended_by_themselves": found.ended_by_themselves,
        "accepted": len(callers.accepted),
        "ended": ends.statuses,
        "tried_again": ends.tried_again,
        "never_answered": RUNS - len(callers.accepted),
        **{name: len(which) for name, which in wrong.items()},
    }
    write("kills", report)
    print(json.dumps(report, indent=2))
    for name, which in {**wrong, "never answered": callers.refused.items()}.items():
        if which:
            print(f"{name}: {sorted(which)[:EXAMPLES]}")
    if len(callers.accepted) < RUNS or any(wrong.values()):
        sys.exit("the guarantee does not hold")


def ends_of(callers: Callers, found: Targets, instance: str) -> Ends:
    """How the service and MLflow say that the accepted runs ended."""
    tracking_uri = f"http://127.0.0.1:{found.mlflow.program.port}"
    told = in_service(callers.api, [*callers.accepted.values()])
    return Ends(told, in_mlflow(tracking_uri, instance))


@contextmanager
def targets(chance: random.Random, instance: str) -> Iterator[Targets]:
    """MLflow and a boosting service of two slots, ready, and stopped in the end."""
    server = Restarted(mlflow(port=free_port(), name="kills-mlflow", workers=1))
    service = None
    try:
        server.wait_until_ready()
        service = Restarted(
            trainer(
                "boosting",
                port=free_port(),
                tracking_uri=f"http://127.0.0.1:{server.program.port}",
                name=instance,
                TRAINYARD_INSTANCE=instance,
                TRAINYARD_SLOTS="2",
                TRAINYARD_QUEUE="20",
                TRAINYARD_THREADS="2",
                TRAINYARD_GRACE_SECONDS="3",
                TRAINYARD_MODELS_PATH=str(HERE / "models"),
            )
        )
        service.wait_until_ready()
        yield Targets(service, server, chance)
    finally:
        for each in (service, server):
            if each:
                each.stop()


def kill_while_they_submit(callers: Callers, found: Targets, chance: random.Random) -> None:
    """Kill one process after another, at random moments, until each run is accepted."""
    deadline, told = time.monotonic() + DEADLINE_SECONDS, time.monotonic()
    threads = callers.start()
    while not callers.done and time.monotonic() < deadline:
        if chance.random() > DURING_RECOVERY:
            until_ready(callers, found)
        time.sleep(chance.uniform(0.1, MOST_SECONDS_BETWEEN))
        found.kill_one()
        if time.monotonic() - told > TOLD_EVERY_SECONDS:
            told = time.monotonic()
            print(
                f"{len(callers.accepted)} accepted, {found.killed.total()} processes killed",
                flush=True,
            )
    callers.over.set()
    threads.shutdown(cancel_futures=True)


def settle(callers: Callers, found: Targets) -> None:
    """Kill nothing more, and wait until every run has ended, or time is up."""
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        until_ready(callers, found)
        if all(none_under_way(callers.api, status) for status in ("SCHEDULED", "RUNNING")):
            return
        time.sleep(0.5)


def until_ready(callers: Callers, found: Targets) -> None:
    """Wait for the service, started again where it ended by itself; not for ever."""
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline and not answers(f"{callers.api}/readyz"):
        found.revive()
        time.sleep(0.1)


def none_under_way(api: str, status: str) -> bool:
    """Whether the service answers and has no run of this status."""
    try:
        answer = httpx.get(f"{api}/train", params={"status": status, "limit": 1}, timeout=30)
        return answer.is_success and not answer.json()["runs"]
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
