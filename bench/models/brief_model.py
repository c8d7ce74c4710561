"""Models that are trained within a second, so that a thousand runs fit into minutes; they predict the majority."""

import threading
from functools import partial
from importlib.metadata import version
from typing import Any

import mlflow.sklearn
import pandas as pd
from pydantic import Field
from sklearn.dummy import DummyClassifier
from trainyard.contract import Task
from trainyard.trainer import Data, Fitted, Params, Training

ROUND_SECONDS = 0.02


class BriefParams(Params):
    """How long to train, and whether to fail in the end."""

    rounds: int = Field(10, ge=1, le=10_000)
    fails: bool = False


class FittedBrief:
    """The majority class."""

    def __init__(self, model: DummyClassifier) -> None:
        self._model = model

    def predict(self, x: pd.DataFrame) -> Any:
        return self._model.predict_proba(x)

    def feature_importance(self) -> None:
        return None

    def raw_example(self, x: pd.DataFrame) -> pd.DataFrame:
        return x.head(2)

    def log_model(self, **arguments: Any) -> None:
        example = arguments["input_example"]
        mlflow.sklearn.log_model(
            self._model,
            signature=mlflow.models.infer_signature(example, self._model.predict(example)),
            pip_requirements=[f"scikit-learn=={version('scikit-learn')}"],
            serialization_format="cloudpickle",
            **arguments,
        )


class Brief:
    """Counts rounds, saves each that it is asked to, and goes on from there."""

    name = "brief"
    task = Task.CLASSIFICATION
    data = ("table",)
    framework = "scikit-learn"
    description = "Predicts the majority"
    params = BriefParams
    example: dict[str, Any] = {"model": "brief", "data": {"source": "builtin", "name": "iris"}}  # noqa: RUF012 - as the protocol has it

    def autolog(self) -> None:
        """Nothing to log."""

    def train(self, params: BriefParams, data: Data, training: Training) -> Fitted:
        """Count to the last round."""
        saved = training.checkpoints / "round"
        first = int(saved.read_text()) if saved.exists() else 0
        tick = threading.Event()
        for done in range(first + 1, params.rounds + 1):
            tick.wait(ROUND_SECONDS)
            save = partial(saved.write_text, str(done)) if training.checkpoint_due() else None
            training.report(
                done=done,
                total=params.rounds,
                unit="rounds",
                metrics={"train_log_loss": 1 / done},
                save=save,
            )
        if params.fails:
            message = "this run was asked to fail"
            raise RuntimeError(message)
        return FittedBrief(DummyClassifier(strategy="prior").fit(data.frame, data.train.y))


class InstantParams(Params):
    """One number that changes nothing."""

    number: int = Field(1, ge=1, le=1_000_000)


class Instant:
    """Reports once."""

    name = "instant"
    task = Task.CLASSIFICATION
    data = ("table",)
    framework = "scikit-learn"
    description = "Predicts the majority at once"
    params = InstantParams
    example: dict[str, Any] = {"model": "instant", "data": {"source": "builtin", "name": "iris"}}  # noqa: RUF012 - as the protocol has it
    search_space: dict[str, Any] = {"number": {"low": 1, "high": 1_000_000}}  # noqa: RUF012 - likewise

    def autolog(self) -> None:
        """Nothing to log."""

    def train(self, params: InstantParams, data: Data, training: Training) -> Fitted:
        """Report, and be done."""
        metrics = {"train_log_loss": 1 / params.number}
        training.report(done=1, total=1, unit="rounds", metrics=metrics)
        return FittedBrief(DummyClassifier(strategy="prior").fit(data.frame, data.train.y))


brief = Brief()
instant = Instant()
