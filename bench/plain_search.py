"""The script that a search replaces: Optuna in one warm process, each trial a nested run of MLflow, logged by autologging.

python plain_search.py TRACKING_URI TRIALS CSV TARGET DROP TASK ROUNDS SEED

Prints JSON: the seconds of `optimize`, the best value, and the test metric of the best and of the default params.
"""

import json
import sys
import time

import mlflow
import optuna
from plain_search_task import AfterRound, Problem, space

CORES = 2
tracking_uri, trials, *words = sys.argv[1:]
mlflow.set_tracking_uri(tracking_uri)
mlflow.set_experiment("bench-plain-search")
mlflow.xgboost.autolog(
    log_models=False, log_datasets=False, log_input_examples=False, importance_types=[], silent=True
)
optuna.logging.set_verbosity(optuna.logging.WARNING)
problem = Problem.read(*words)


def objective(trial: optuna.Trial) -> float:
    def tell(done: int, loss: float) -> None:
        trial.report(loss, done)
        if trial.should_prune():
            raise optuna.TrialPruned

    params = space(trial)
    with mlflow.start_run(nested=True, run_name=f"trial-{trial.number}"):
        value = problem.value(problem.fitted(params, AfterRound(tell), jobs=CORES))
        mlflow.log_metric("validation", value)
    return value


with mlflow.start_run():
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=problem.seed), pruner=optuna.pruners.MedianPruner()
    )
    started = time.perf_counter()
    study.optimize(objective, n_trials=int(trials))
    seconds = time.perf_counter() - started
mlflow.xgboost.autolog(disable=True)
print(
    json.dumps(
        {
            "seconds": seconds,
            "best": study.best_value,
            "pruned": sum(each.state is optuna.trial.TrialState.PRUNED for each in study.trials),
            "test": problem.tested(problem.fitted(study.best_params, jobs=CORES)),
            "default_test": problem.tested(problem.fitted({}, jobs=CORES)),
        }
    )
)
