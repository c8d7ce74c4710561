"""Optuna over the `mlp` of a service, on digits, in one warm process; each trial a nested run of MLflow.

python plain_network_search.py TRACKING_URI DATA_DIR THREADS TRIALS EPOCHS SEED

The network is trained by the service's own function. Prints the seconds of `optimize`, as JSON, and the best value.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mlflow
import optuna
from sklearn.metrics import log_loss
from trainyard.contract import BuiltinData, Split
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.service import installed_service
from trainyard.trainer import Training, load_catalogue

tracking_uri, data_dir, threads, trials, epochs, seed = sys.argv[1:]
mlflow.set_tracking_uri(tracking_uri)
mlflow.set_experiment("bench-plain-search")
optuna.logging.set_verbosity(optuna.logging.WARNING)
mlp = load_catalogue(installed_service().package, None).trainers["mlp"]
spec = BuiltinData(source="builtin", name="digits")
access = DataAccess((), Path(data_dir), (), None)
data = load(spec, Split(), task=mlp.task, kinds=mlp.data, access=access)
LAYERS = ["64", "128,64", "256,128", "512,256"]


def objective(trial: optuna.Trial) -> float:
    drawn = {
        "learning_rate": trial.suggest_float("learning_rate", 0.0003, 0.03, log=True),
        "hidden_units": trial.suggest_categorical("hidden_units", LAYERS),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "weight_decay": trial.suggest_float("weight_decay", 0.000001, 0.01, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256, 512]),
    }
    layers = [int(each) for each in drawn["hidden_units"].split(",")]
    params = {**drawn, "hidden_units": layers, "epochs": int(epochs)}

    def report(*, done: int, total: int, metrics: Any, **_: object) -> None:
        if not metrics:
            return
        mlflow.log_metrics(dict(metrics), step=done)
        trial.report(metrics["validation_log_loss"], done)
        if done < total and trial.should_prune():
            raise optuna.TrialPruned

    with mlflow.start_run(nested=True), tempfile.TemporaryDirectory() as folder:
        mlflow.log_params(params)
        training = Training(
            seed=int(seed),
            threads=int(threads),
            checkpoints=Path(folder),
            report=report,
            checkpoint_due=lambda: False,
        )
        fitted = mlp.train(mlp.params.model_validate_json(json.dumps(params)), data, training)
        value = float(log_loss(data.validation.y, fitted.predict(data.validation.x)))
        mlflow.log_metric("validation", value)
    return value


with mlflow.start_run():
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=int(seed)), pruner=optuna.pruners.MedianPruner()
    )
    started = time.perf_counter()
    study.optimize(objective, n_trials=int(trials))
    found = {"seconds": time.perf_counter() - started, "best": study.best_value}
print(json.dumps(found))  # MLflow says a word itself at the end of a run
