"""What happens after each step and epoch of Keras's `fit`."""

import math
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from trainyard.errors import Diverged
from trainyard.networks.params import NetworkParams
from trainyard.trainer import Training

from trainyard_tensorflow import _checkpoints
from trainyard_tensorflow._lesson import Lesson
from trainyard_tensorflow._losses import watched_loss
from trainyard_tensorflow._ranks import TRAINED, VALIDATED, Ranks
from trainyard_tensorflow._rate import Rate

POLL_SECONDS = 0.25
"""How rarely the loss is looked at, and the service asked whether to stop."""


class Epochs(keras.callbacks.Callback):
    """After each epoch: validate, remember the best weights, save a checkpoint, report. Between steps: stop when asked."""

    def __init__(  # noqa: PLR0913, PLR0917 - a training's parts
        self,
        network: keras.Sequential,
        params: NetworkParams,
        given: Lesson,
        training: Training,
        rate: Rate,
        ranks: Ranks,
    ) -> None:
        super().__init__()
        self._ranks = ranks
        self._network, self._params, self._given, self._training = network, params, given, training
        self._validation = given.validation.in_order() if given.validation else None
        self._looked = time.monotonic()
        saved = _checkpoints.newest(training.checkpoints) or {}
        self.done = int(saved.get("epoch", 0))
        self.best = saved.get("best")
        self._best_loss = float(saved.get("best_loss", math.inf))
        self._best_epoch = int(saved.get("best_epoch", 0))
        self.number = tf.Variable(self.done, dtype=tf.int64, trainable=False)
        if saved:
            for variable, value in zip(
                self._state(), [*saved["network"], *saved["optimizer"]], strict=True
            ):
                variable.assign(value)
            rate.start_at(int(network.optimizer.iterations), self.done)

    @property
    def more(self) -> bool:
        """Whether another epoch is to be trained."""
        patience = self._params.early_stopping_patience
        return self.done < self._params.epochs and not (
            patience and self.done - self._best_epoch >= patience
        )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        self.number.assign(epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        if time.monotonic() - self._looked > POLL_SECONDS:
            self._looked = time.monotonic()
            self._check("the loss", float((logs or {}).get("loss", 0.0)))
            self._training.report(
                done=self.done, total=self._params.epochs, unit="epochs", metrics={}
            )

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.on_train_batch_end(
            batch, {key: value for key, value in (logs or {}).items() if key != "loss"}
        )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        alone = self._training.world.alone
        metrics = self._named(
            "train", (logs or {}) if alone else self._ranks.add_up(self._network, TRAINED)
        )
        self._ranks.average_norms(self._network)
        if self._validation is not None:
            found = self._network.evaluate(
                self._validation, verbose=0, return_dict=True, callbacks=[_Between(self)]
            )
            found = found if alone else self._ranks.add_up(self._network, VALIDATED)
            metrics |= self._named("validation", found)
        for name, value in metrics.items():
            self._check(name, value)
        self.done = epoch + 1
        self._remember_the_best(metrics)
        self._training.report(
            done=self.done,
            total=self._params.epochs,
            unit="epochs",
            metrics=metrics,
            save=self._save,
        )
        self._network.stop_training = not self.more

    def _save(self) -> None:
        groups = {
            "network": self._values(self._network_state()),
            "optimizer": self._values(self._network.optimizer.variables),
        }
        if self.best is not None:
            groups["best"] = self.best
        _checkpoints.save(
            self._training.checkpoints,
            groups,
            epoch=self.done,
            best_loss=self._best_loss,
            best_epoch=self._best_epoch,
        )

    def _remember_the_best(self, metrics: Mapping[str, float]) -> None:
        loss = metrics.get(f"validation_{watched_loss(self._given.task)}", math.inf)
        if self._params.early_stopping_patience and loss < self._best_loss:
            self.best, self._best_loss, self._best_epoch = (
                self._network.get_weights(),
                loss,
                self.done,
            )

    def _named(self, part: str, logs: Mapping[str, Any]) -> dict[str, float]:
        """Keras's metrics by the house's names; a regression's error in the target's own unit."""
        scale = self._given.target_scale
        return {
            f"{part}_{name}": float(value) * (scale if name == "root_mean_squared_error" else 1.0)
            for name, value in logs.items()
            if name != "loss"
        }

    def _check(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise Diverged(
                f"{name} became {value} in epoch {self.done + 1}; a lower learning_rate often helps"
            )

    def _state(self) -> list[Any]:
        return [*self._network_state(), *self._network.optimizer.variables]

    def _network_state(self) -> list[Any]:
        """Weights, and the seeds of dropout, so that a training goes on as it would have."""
        metrics = {id(variable) for variable in self._network.metrics_variables}
        return [variable for variable in self._network.variables if id(variable) not in metrics]

    @staticmethod
    def _values(variables: list[Any]) -> list[Any]:
        return [variable.numpy() for variable in variables]


class _Between(keras.callbacks.Callback):
    """Asks during validation what `Epochs` asks during training."""

    def __init__(self, epochs: Epochs) -> None:
        super().__init__()
        self.on_test_batch_end = partial(epochs.on_test_batch_end)
