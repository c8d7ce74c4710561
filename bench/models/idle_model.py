"""A model that holds its slot and leaves the processor alone, so that polls and submits are measured undisturbed."""

import threading
from typing import Any

from trainyard.contract import Task
from trainyard.trainer import Data, Fitted, Params, Training


class IdleParams(Params):
    """How long to hold the slot."""

    rounds: int = 100


class Idle:
    """Reports a round each tenth of a second until it is stopped."""

    name = "idle"
    task = Task.CLASSIFICATION
    data = ("table",)
    framework = "scikit-learn"
    description = "Waits"
    params = IdleParams
    example: dict[str, Any] = {"model": "idle", "data": {"source": "builtin", "name": "iris"}}  # noqa: RUF012 - as the protocol has it

    def autolog(self) -> None:
        """Nothing to log."""

    def train(self, params: IdleParams, data: Data, training: Training) -> Fitted:
        """Wait; there is no model in the end."""
        tick = threading.Event()
        for done in range(1, params.rounds + 1):
            tick.wait(0.1)
            training.report(
                done=done, total=params.rounds, unit="rounds", metrics={"train_log_loss": 1 / done}
            )
        message = f"{data.name} was not trained on: this model only waits"
        raise RuntimeError(message)


idle = Idle()
