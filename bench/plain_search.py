"""The script that a search replaces: Optuna in one warm process, each trial a nested run of MLflow, logged by autologging.

python plain_search.py TRACKING_URI CSV TARGET DROP TASK TRIALS ROUNDS SEED

Prints JSON: the seconds of `optimize`, the best value, and the test metric of the best and of the default params.
"""

import json
import sys
import time
from typing import Any

import mlflow
import optuna
import pandas as pd
import xgboost
from sklearn.metrics import log_loss, r2_score, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

tracking_uri, path, target, drop, task, trials, rounds, seed = sys.argv[1:]
classifies = task == "classification"
mlflow.set_tracking_uri(tracking_uri)
mlflow.set_experiment("bench-plain-search")
mlflow.xgboost.autolog(
    log_models=False, log_datasets=False, log_input_examples=False, importance_types=[], silent=True
)
optuna.logging.set_verbosity(optuna.logging.WARNING)
frame = pd.read_csv(path).drop(columns=drop.split(",") if drop else [])
for name in frame.select_dtypes(include=["object", "string"]):
    frame[name] = frame[name].astype("category")
x, y = frame.drop(columns=target), frame[target]


def divided(whole_x: Any, whole_y: Any, share: float) -> Any:
    """As a run divides its rows."""
    stratify = whole_y if classifies else None
    return train_test_split(
        whole_x, whole_y, test_size=share, random_state=int(seed), stratify=stratify
    )


x_rest, x_test, y_rest, y_test = divided(x, y, 0.2)
x_train, x_validation, y_train, y_validation = divided(x_rest, y_rest, 0.125)


class Pruning(xgboost.callback.TrainingCallback):
    """Tells Optuna of each round."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        del model
        (values,) = evals_log["validation_1"].values()
        self._trial.report(values[-1], epoch + 1)
        if self._trial.should_prune():
            raise optuna.TrialPruned
        return False


def fitted(params: dict[str, Any], *callbacks: Any) -> Any:
    kind = xgboost.XGBClassifier if classifies else xgboost.XGBRegressor
    model = kind(
        n_estimators=int(rounds),
        enable_categorical=True,
        n_jobs=2,
        random_state=int(seed),
        callbacks=list(callbacks),
        **params,
    )
    return model.fit(
        x_train, y_train, eval_set=[(x_train, y_train), (x_validation, y_validation)], verbose=False
    )


def objective(trial: optuna.Trial) -> float:
    params = {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 10),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.1, 20.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.4, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.001, 30.0, log=True),
    }
    with mlflow.start_run(nested=True, run_name=f"trial-{trial.number}"):
        model = fitted(params, Pruning(trial))
        if classifies:
            value = log_loss(y_validation, model.predict_proba(x_validation))
        else:
            value = root_mean_squared_error(y_validation, model.predict(x_validation))
        mlflow.log_metric("validation", value)
    return float(value)


def tested(model: Any) -> float:
    if classifies:
        return float(roc_auc_score(y_test, model.predict_proba(x_test)[:, 1]))
    return float(r2_score(y_test, model.predict(x_test)))


with mlflow.start_run():
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=int(seed)), pruner=optuna.pruners.MedianPruner()
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
            "test": tested(fitted(study.best_params)),
            "default_test": tested(fitted({})),
        }
    )
)
