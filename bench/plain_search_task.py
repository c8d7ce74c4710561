"""The rows and the model of the plain searches: read, divided and trained as a run of the service has them."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import xgboost
from sklearn.metrics import log_loss, r2_score, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split


@dataclass(frozen=True)
class Problem:
    """A table in three parts, each as (x, y), and the rounds of each training on it."""

    classifies: bool
    rounds: int
    seed: int
    train: Any
    validation: Any
    test: Any

    @classmethod
    def read(  # noqa: PLR0913, PLR0917 - the words of a command line
        cls, path: str, target: str, drop: str, task: str, rounds: str, seed: str
    ) -> "Problem":
        """From a CSV file, and the words of a command line."""
        frame = pd.read_csv(path).drop(columns=drop.split(",") if drop else [])
        for name in frame.select_dtypes(include=["object", "string"]):
            frame[name] = frame[name].astype("category")
        classifies = task == "classification"

        def divided(whole: Any, share: float) -> Any:
            return train_test_split(
                whole,
                test_size=share,
                random_state=int(seed),
                stratify=whole[target] if classifies else None,
            )

        rest, test = divided(frame, 0.2)
        train, validation = divided(rest, 0.125)
        parts = [(each.drop(columns=target), each[target]) for each in (train, validation, test)]
        return cls(classifies, int(rounds), int(seed), *parts)

    def fitted(self, params: dict[str, Any], *callbacks: Any, jobs: int) -> Any:
        """A model, which measured the training and the validation rows after each round."""
        kind = xgboost.XGBClassifier if self.classifies else xgboost.XGBRegressor
        model = kind(
            n_estimators=self.rounds,
            enable_categorical=True,
            n_jobs=jobs,
            random_state=self.seed,
            callbacks=list(callbacks),
            **params,
        )
        return model.fit(*self.train, eval_set=[self.train, self.validation], verbose=False)

    def value(self, model: Any) -> float:
        """What the search makes least."""
        x, y = self.validation
        if self.classifies:
            return float(log_loss(y, model.predict_proba(x)))
        return float(root_mean_squared_error(y, model.predict(x)))

    def tested(self, model: Any) -> float:
        """What is looked at on the test rows."""
        x, y = self.test
        if self.classifies:
            return float(roc_auc_score(y, model.predict_proba(x)[:, 1]))
        return float(r2_score(y, model.predict(x)))


class AfterRound(xgboost.callback.TrainingCallback):
    """Tells of each round: how many were trained, and the validation rows' loss."""

    def __init__(self, tell: Any) -> None:
        self._tell = tell

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        del model
        (values,) = evals_log["validation_1"].values()
        self._tell(epoch + 1, values[-1])
        return False


def space(trial: Any) -> dict[str, Any]:
    """The params of one trial of Optuna's: the space of the service's models but for the rounds."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 10),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.1, 20.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.4, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.001, 30.0, log=True),
    }
