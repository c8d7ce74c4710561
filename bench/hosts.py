"""`make bench-hosts`: runs on other hosts, and runs of several workers, beside the same without an engine.

The hosts are network namespaces on this machine; where there can be none, it says so and ends. HOSTS_PARTS chooses among
start, scaling, bytes, networks, and memory (all of them), HOSTS_PAIRS how often each pair is measured (3). A part of these writes
results/hosts_PART.json. Under another load only the ratios mean something: the two of a pair take turns.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from host_memory import memory
from host_places import (
    caller_of,
    check_namespaces,
    hosts,
    network_service,
    sent_by,
    without_engine,
)

from caller import BETWEEN_RUNS_SECONDS, Caller  # isort: skip - host_places puts scripts/ on the path
from report import ms, phase_at, write
from servers import until
from tables import normal_table

PAIRS = int(os.environ.get("HOSTS_PAIRS", "3"))
STARTS = 15
COLD_STARTS = 3
ROUNDS = 50
MODELS = {"XGBoost": "xgboost_classifier", "LightGBM": "lightgbm_classifier"}
NETWORKS = {"PyTorch": "pytorch", "TensorFlow": "tensorflow"}
IRIS = {"source": "builtin", "name": "iris"}
TINY: dict[str, Any] = {"model": MODELS["XGBoost"], "params": {"n_estimators": 5}, "data": IRIS}
IDLE_SECONDS = 10.0
"""What a host sends when it has nothing to do is counted for so long."""
FEW, MANY = 100, 500
"""Rounds of two runs whose difference is what a round costs."""
FEW_EPOCHS, MANY_EPOCHS = 2, 6
ONE_OF_TWO_THREADS: dict[str, Any] = {"workers": 1, "cpus": 2}
TWO_OF_ONE_THREAD: dict[str, Any] = {"workers": 2}


def start() -> dict[str, Any]:
    """From the POST to the first line of a run's own code, on another host and without an engine, and on a host that joins only then."""
    with hosts() as lab, without_engine(lab) as beside:
        caller = caller_of(lab.yard.service.url)
        found: dict[str, list[float]] = {"there": [], "here": []}
        for each in (caller, beside):
            each.train(TINY)
        for _ in range(STARTS):
            for where, each in (("there", caller), ("here", beside)):
                time.sleep(BETWEEN_RUNS_SECONDS)
                run, before, _ = each.train(TINY)
                found[where].append(phase_at(run, "loading_data") - before)
        cold = []
        for name in list(lab.hosts)[:COLD_STARTS]:
            for place in lab.hosts.values():
                place.kill()
            until(lambda: not lab.slots, "the service to know of no host", explain=lab.said)
            submitted = caller.submit(TINY)
            before = time.time()
            lab.join(name)
            cold.append(phase_at(caller.ended(submitted), "loading_data") - before)
    return {
        "another host, warm": {"median_ms": ms(found["there"]), "goal": "<= 150 ms"},
        "without an engine, in turns with it": {"median_ms": ms(found["here"])},
        "another host that only then joins": {"median_s": round(statistics.median(cold), 1)},
    }


def scaling() -> dict[str, Any]:
    """Two workers of a thread each beside one of two threads, on this machine's two cores."""
    told: dict[str, Any] = {}
    path = normal_table(1)
    data = {"source": "file", "uri": str(path), "target": "y"}
    with hosts() as lab, without_engine(lab) as beside:
        callers = {"without an engine": beside, "on two hosts": caller_of(lab.yard.service.url)}
        for framework, model in MODELS.items():
            for where, caller in callers.items():
                request = {"model": model, "params": {"n_estimators": ROUNDS}, "data": data}
                told[f"{framework}, {where}"] = in_pairs(caller, request, goal=">= 0.8x")
    return told


def bytes_a_round() -> dict[str, Any]:
    """What a rank beside rank 0 sends in a round to the others: its host's counter, less what the host sends when idle.

    Rank 0's host also tells the service how the run stands, and is left out.
    """
    told: dict[str, Any] = {}
    with hosts() as lab:
        caller = caller_of(lab.yard.service.url)

        def sent() -> dict[str, int]:
            return {place.address: sent_by(place) for place in lab.hosts.values()}

        before, began = sent(), time.monotonic()
        time.sleep(IDLE_SECONDS)
        seconds = time.monotonic() - began
        idle = statistics.mean(after - before[at] for at, after in sent().items()) / seconds
        for framework, model in MODELS.items():
            for workers in (2, 3):
                one = caller_bytes(caller, sent, _rounds(model, FEW, workers), idle)
                other = caller_bytes(caller, sent, _rounds(model, MANY, workers), idle)
                told[f"{framework}, breast_cancer, {workers} workers"] = {
                    "bytes_a_round": round((other - one) / (MANY - FEW))
                }
        told["a host that has nothing to do"] = {"bytes_a_second": round(idle)}
    return told


def networks() -> dict[str, Any]:
    """The networks on this machine without an engine: speed of two workers, and what they send each other in an epoch."""
    told: dict[str, Any] = {}
    data = {"source": "file", "uri": str(normal_table(0.2)), "target": "y"}
    for framework, service in NETWORKS.items():
        with network_service(service) as (caller, place):
            request = {"model": "mlp", "params": {"epochs": FEW_EPOCHS}, "data": data}
            told[f"{framework}, mlp"] = in_pairs(caller, request, goal=">= 0.7x")

            def sent(place: Any = place) -> dict[str, int]:
                return {"": sent_by(place, "lo")}

            few, many = (
                caller_bytes(caller, sent, _epochs(epochs, data), 0.0)
                for epochs in (FEW_EPOCHS, MANY_EPOCHS)
            )
            told[f"{framework}, mlp, 2 workers"] = {
                "bytes_an_epoch_of_each": round((many - few) / (MANY_EPOCHS - FEW_EPOCHS) / 2)
            }
    return told


def in_pairs(caller: Caller, request: dict[str, Any], *, goal: str) -> dict[str, Any]:
    """The time of the training of one worker and of two, in turns, and how many times as fast two are."""
    took: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(PAIRS):
        for resources in (ONE_OF_TWO_THREADS, TWO_OF_ONE_THREAD):
            time.sleep(BETWEEN_RUNS_SECONDS)
            run, _, _ = caller.train(request | {"resources": resources})
            seconds = phase_at(run, "evaluating") - phase_at(run, "training")
            took[resources["workers"]].append(seconds)
    ratios = [one / two for one, two in zip(took[1], took[2], strict=True)]
    return {
        "one_of_two_threads_s": round(statistics.median(took[1]), 2),
        "two_of_one_thread_s": round(statistics.median(took[2]), 2),
        "speed": round(statistics.median(ratios), 2),
        "speeds": [round(each, 2) for each in ratios],
        "goal": goal,
    }


def caller_bytes(
    caller: Caller, sent: Callable[[], dict[str, int]], request: dict[str, Any], idle: float
) -> float:
    """Bytes that the ranks' hosts sent during the run, the mean of those beside rank 0's, without what they send anyway."""
    before, began = sent(), time.monotonic()
    run, _, _ = caller.train(request)
    seconds, after = time.monotonic() - began, sent()
    ranks = [place["address"] for place in run["placement"] or []][1:] or [*after]
    return statistics.mean(after[at] - before[at] for at in ranks) - idle * seconds


def _rounds(model: str, rounds: int, workers: int) -> dict[str, Any]:
    params = {"n_estimators": rounds, "early_stopping_rounds": None}
    data = {"source": "builtin", "name": "breast_cancer"}
    return {"model": model, "params": params, "data": data, "resources": {"workers": workers}}


def _epochs(epochs: int, data: dict[str, Any]) -> dict[str, Any]:
    params = {"epochs": epochs}
    return {"model": "mlp", "params": params, "data": data, "resources": {"workers": 2}}


PARTS = {
    "start": start,
    "scaling": scaling,
    "bytes": bytes_a_round,
    "networks": networks,
    "memory": memory,
}


def main() -> None:
    """Measure the parts that are asked for, and write each."""
    chosen = os.environ.get("HOSTS_PARTS", ",".join(PARTS)).split(",")
    if wrong := set(chosen) - PARTS.keys():
        sys.exit(f"HOSTS_PARTS: {', '.join(sorted(wrong))}? There are {', '.join(PARTS)}")
    check_namespaces()
    for name in chosen:
        before = os.getloadavg()[0]
        told = PARTS[name]()
        report = {"load_before": round(before, 1), "load_after": round(os.getloadavg()[0], 1)}
        write(f"hosts_{name}", {**told, "beside": report})
        print(name, json.dumps(told, indent=2), flush=True)


if __name__ == "__main__":
    main()
