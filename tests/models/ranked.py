"""A model for the tests that several processes train together: they count, and one goes wrong as it is told."""

import os
import signal
from importlib.metadata import version
from typing import Any, ClassVar, Literal

import mlflow.sklearn
import numpy as np
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from trainyard.contract import Task
from trainyard.errors import OutOfMemory
from trainyard.trainer import Data, DataKind, Params, Training


class RankedParams(Params):
    rounds: int = Field(3, ge=1)
    trouble: Literal["out_of_memory", "freeze", "differ", "leave"] | None = None
    rank: int = 1
    """The rank that has the trouble."""
    alone: bool = False


class FittedRanked:
    def __init__(self, model: LogisticRegression) -> None:
        self.model = model

    def predict(self, x: Any) -> Any:
        return self.model.predict_proba(x)

    def feature_importance(self) -> None:
        return None

    def raw_example(self, x: Any) -> Any:
        return x.head(2)

    def log_model(self, **arguments: Any) -> None:
        pins = [f"scikit-learn=={version('scikit-learn')}"]
        mlflow.sklearn.log_model(
            self.model, pip_requirements=pins, serialization_format="cloudpickle", **arguments
        )


class Ranked:
    """The mean of what is learnt from each rank's own rows."""

    name = "ranked"
    task = Task.CLASSIFICATION
    data: tuple[DataKind, ...] = ("table",)
    framework = "scikit-learn"
    description = "Learns in several processes"
    params = RankedParams
    distributed = True
    example: ClassVar[dict[str, Any]] = {}

    def autolog(self) -> None:
        pass

    def needs_one_process(self, params: RankedParams) -> str | None:
        return "alone is what it wants to be" if params.alone else None

    def train(self, params: RankedParams, data: Data, training: Training) -> FittedRanked:
        world = training.world
        if world.rank == params.rank:
            self._go_wrong(params, world.rank)
        if params.trouble == "differ":
            world.agree("its rank", world.rank)
        model = LogisticRegression(max_iter=500)
        model.fit(world.rows(data.train.x), world.rows(data.train.y))
        print(f"has {len(world.rows(data.train.y))} rows", flush=True)  # noqa: T201 - to the run's log
        for done in range(1, params.rounds + 1):
            texts = world.gather("a round", repr(model.coef_.tolist()))
            metrics = {"train_ranks": float(len(texts))}
            training.report(done=done, total=params.rounds, unit="rounds", metrics=metrics)
        model.coef_ = np.mean([np.array(eval(text)) for text in texts], axis=0)
        return FittedRanked(model)

    def _go_wrong(self, params: RankedParams, rank: int) -> None:
        if params.trouble == "out_of_memory":
            raise OutOfMemory(f"no room in {rank}")
        if params.trouble == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        if params.trouble == "leave":
            os._exit(3)


ranked = Ranked()
