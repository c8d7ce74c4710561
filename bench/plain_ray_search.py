"""The same search by Ray Tune: Optuna's sampler, its own median rule, a process a trial, one thread each, two at once.

python plain_ray_search.py TRACKING_URI TRIALS CSV TARGET DROP TASK ROUNDS SEED

Prints JSON: the seconds of `fit` with Ray up and those of Ray's start, the best value, and the test metric.
"""

import json
import os
import sys
import tempfile
import time
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AIR_NEW_OUTPUT": "0"}

import mlflow
import optuna
import ray
from plain_search_task import AfterRound, Problem, space
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import MedianStoppingRule
from ray.tune.search.optuna import OptunaSearch

CORES, METRIC = 2, "validation_loss"
OBJECT_STORE_BYTES = 200_000_000
tracking_uri, trials, *words = sys.argv[1:]
problem = Problem.read(*words)


def train(params: dict[str, Any], given: Problem) -> None:
    """One trial."""
    given.fitted(params, AfterRound(lambda _, loss: tune.report({METRIC: float(loss)})), jobs=1)


mlflow.set_tracking_uri(tracking_uri)
mlflow.set_experiment("bench-ray-search")
optuna.logging.set_verbosity(optuna.logging.WARNING)
begun = time.perf_counter()
ray.init(
    address="local",
    num_cpus=CORES,
    include_dashboard=False,
    object_store_memory=OBJECT_STORE_BYTES,
    _node_ip_address="127.0.0.1",
    log_to_driver=False,
    logging_level="ERROR",
)
started = time.perf_counter()
with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as parent:
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train, given=problem), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="min",
            num_samples=int(trials),
            max_concurrent_trials=CORES,
            search_alg=OptunaSearch(
                space=space,
                metric=METRIC,
                mode="min",
                sampler=optuna.samplers.TPESampler(seed=problem.seed),
            ),
            scheduler=MedianStoppingRule(grace_period=1, min_samples_required=5),
        ),
        run_config=tune.RunConfig(
            storage_path=folder,
            verbose=0,
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=tracking_uri,
                    experiment_name="bench-ray-search",
                    tags={"mlflow.parentRunId": parent.info.run_id},
                )
            ],
        ),
    )
    found = tuner.fit()
    seconds = time.perf_counter() - started
best = found.get_best_result(scope="last", filter_nan_and_inf=True)
rounds = [each.metrics["training_iteration"] for each in found if each.metrics]
print(
    json.dumps(
        {
            "seconds": seconds,
            "start_seconds": started - begun,
            "best": best.metrics[METRIC],
            "ended": len(rounds),
            "pruned": sum(each < problem.rounds for each in rounds),
            "test": problem.tested(problem.fitted(best.config, jobs=CORES)),
        }
    )
)
