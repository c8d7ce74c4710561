"""The training of a network, from top to bottom: Keras's `fit`, and what happens after its steps and epochs."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from trainyard.contract import Task
from trainyard.errors import Diverged, InvalidData
from trainyard.networks.fitness import check_patience
from trainyard.networks.params import NetworkParams
from trainyard.trainer import Part, Training

from trainyard_tensorflow import _checkpoints
from trainyard_tensorflow._batches import Rows
from trainyard_tensorflow._device import Device, out_of_memory_told
from trainyard_tensorflow._networks import Build

POLL_SECONDS = 0.25
"""How rarely the loss is looked at, and the service asked whether to stop."""
WORK_AT_ONCE = 2**30
"""Multiplications, forwards, that TensorFlow does without Python in between: a twentieth of a second's, or so (ADR 6)."""
STEPS_AT_ONCE = 32
"""Steps that it goes at most, however small they are."""
WARM_UP = 0.2
"""Share of a one-cycle schedule in which the learning rate rises, from a 25th."""


@dataclass(frozen=True)
class Lesson:
    """What is to be learnt, and how well is said about it."""

    task: Task
    train: Rows
    validation: Rows | None
    target_scale: float = 1.0
    """What one unit of a scaled target is worth."""
    augment: bool = False


def lesson(  # noqa: PLR0913 - a lesson's parts
    task: Task, train: Part, validation: Part | None, *, encode: Callable[[Any], Any],
    target: tuple[float, float] = (0.0, 1.0), augment: bool = False,
) -> Lesson:
    """The parts in memory as arrays; `encode` makes bytes or floats of `Part.x`. Raises `InvalidData` for too few rows."""
    if len(train) < 2:  # noqa: PLR2004 - a norm needs two
        raise InvalidData("a network needs two training rows or more", "/split")

    def rows(part: Part) -> Rows:
        y = part.y if task is Task.CLASSIFICATION else ((part.y - target[0]) / target[1]).astype(np.float32)[:, np.newaxis]
        weight = np.ones(len(part), np.float32) if part.weight is None else part.weight.astype(np.float32)
        return Rows(encode(part.x), y, weight)

    return Lesson(task, rows(train), rows(validation) if validation is not None and len(validation) else None, target[1], augment)


def train(build: Build, params: NetworkParams, given: Lesson, training: Training) -> keras.Sequential:
    """A trained network that computes in float32.

    Raises `InvalidParams`, `Diverged`, `OutOfMemory`, `GpuOutOfMemory`, and `Interrupted` within `POLL_SECONDS` and `WORK_AT_ONCE`.
    """
    keras.utils.disable_interactive_logging()  # no progress bars in the log, MLflow's prediction for its example among them
    device = Device.chosen(params, training.threads)
    check_patience(params, validated=given.validation is not None)
    if params.deterministic:
        tf.config.experimental.enable_op_determinism()

    with out_of_memory_told(device), tf.device(device.name):
        return _fit(build, params, given, training, policy=device.policy, batch_size=params.batch_after(training.halvings))


def _fit(  # noqa: PLR0913 - a training's parts
    build: Build, params: NetworkParams, given: Lesson, training: Training, *, policy: str, batch_size: int
) -> keras.Sequential:
    keras.utils.set_random_seed(training.seed)
    network = build(policy)
    steps = given.train.steps(batch_size)
    rate = Rate(params.schedule, params.learning_rate, steps=steps, epochs=params.epochs)
    network.compile(
        _optimizer(params, rate), _loss(given.task, params.label_smoothing), weighted_metrics=_metrics(given.task),
        steps_per_execution=min(_steps_at_once(network, batch_size), steps), jit_compile=False,
    )
    network.optimizer.build(network.trainable_variables)
    epochs = Epochs(network, params, given, training, rate)
    batches = given.train.shuffled(batch_size, seed=training.seed, epoch=epochs.number, augment=given.augment)
    if epochs.more:
        network.fit(batches, epochs=params.epochs, initial_epoch=epochs.done, shuffle=False, verbose=0, callbacks=[epochs])

    trained = build(None)
    trained.set_weights(epochs.best or network.get_weights())
    return trained


class Epochs(keras.callbacks.Callback):
    """After each epoch: validate, remember the best weights, save a checkpoint, report. Between steps: stop when asked."""

    def __init__(self, network: keras.Sequential, params: NetworkParams, given: Lesson, training: Training, rate: "Rate") -> None:
        super().__init__()
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
            for variable, value in zip(self._state(), [*saved["network"], *saved["optimizer"]], strict=True):
                variable.assign(value)
            rate.start_at(int(network.optimizer.iterations), self.done)

    @property
    def more(self) -> bool:
        """Whether another epoch is to be trained."""
        patience = self._params.early_stopping_patience
        return self.done < self._params.epochs and not (patience and self.done - self._best_epoch >= patience)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        self.number.assign(epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        if time.monotonic() - self._looked > POLL_SECONDS:
            self._looked = time.monotonic()
            self._check("the loss", float((logs or {}).get("loss", 0.0)))
            self._training.report(done=self.done, total=self._params.epochs, unit="epochs", metrics={})

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.on_train_batch_end(batch, {key: value for key, value in (logs or {}).items() if key != "loss"})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        metrics = self._named("train", logs or {})
        if self._validation is not None:
            found = self._network.evaluate(self._validation, verbose=0, return_dict=True, callbacks=[_Between(self)])
            metrics |= self._named("validation", found)
        for name, value in metrics.items():
            self._check(name, value)
        self.done = epoch + 1
        self._remember_the_best(metrics)
        self._training.report(done=self.done, total=self._params.epochs, unit="epochs", metrics=metrics, save=self._save)
        self._network.stop_training = not self.more

    def _save(self) -> None:
        groups = {"network": self._values(self._network_state()), "optimizer": self._values(self._network.optimizer.variables)}
        if self.best is not None:
            groups["best"] = self.best
        _checkpoints.save(self._training.checkpoints, groups, epoch=self.done, best_loss=self._best_loss, best_epoch=self._best_epoch)

    def _remember_the_best(self, metrics: Mapping[str, float]) -> None:
        loss = metrics.get(f"validation_{loss_name(self._given.task)}", math.inf)
        if self._params.early_stopping_patience and loss < self._best_loss:
            self.best, self._best_loss, self._best_epoch = self._network.get_weights(), loss, self.done

    def _named(self, part: str, logs: Mapping[str, Any]) -> dict[str, float]:
        """Keras's metrics by the house's names; a regression's error in the target's own unit."""
        scale = self._given.target_scale
        return {f"{part}_{name}": float(value) * (scale if name == "root_mean_squared_error" else 1.0) for name, value in logs.items() if name != "loss"}

    def _check(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise Diverged(f"{name} became {value} in epoch {self.done + 1}; a lower learning_rate often helps")

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


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of a step, by what part of all epochs is over.

    `one_cycle` as in Smith and Topin, https://arxiv.org/abs/1708.07120, with cosines for lines: it depends on nothing
    but that part, so a training goes on after a restart, or with another batch size, where it was.
    """

    def __init__(self, schedule: str, highest: float, *, steps: int, epochs: int) -> None:
        self._schedule, self._highest, self._steps, self._epochs = schedule, highest, steps, epochs
        self._ahead = 0

    def start_at(self, step: int, epoch: int) -> None:
        """The optimizer's count of steps when `epoch` epochs were over, which were shorter where batches were larger."""
        self._ahead = epoch * self._steps - step

    def __call__(self, step: Any) -> Any:
        return self._highest * self._share(tf.cast(step + self._ahead, tf.float32) / (self._steps * self._epochs))

    def _share(self, done: Any) -> Any:
        falling = (1 + tf.cos(math.pi * done)) / 2
        if self._schedule == "one_cycle":
            rising = 0.04 + 0.96 * (1 - tf.cos(math.pi * done / WARM_UP)) / 2
            return tf.where(done < WARM_UP, rising, (1 + tf.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2)
        return falling if self._schedule == "cosine" else tf.ones_like(done)

    def get_config(self) -> dict[str, Any]:
        """For the optimizer's config, which autologging writes down."""
        return {"schedule": self._schedule, "highest": self._highest, "steps": self._steps, "epochs": self._epochs}


def _steps_at_once(network: keras.Sequential, batch_size: int) -> int:
    """Many where Python would be what takes the time, one where a run that is asked to stop would have to wait for them."""
    layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
    work: int = sum(math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1]) for layer in layers)
    return max(1, min(STEPS_AT_ONCE, WORK_AT_ONCE // (work * batch_size)))


def loss_name(task: Task) -> str:
    """What is watched."""
    return "log_loss" if task is Task.CLASSIFICATION else "root_mean_squared_error"


def _optimizer(params: NetworkParams, rate: Rate) -> keras.Optimizer:
    if params.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    if params.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=params.weight_decay)
    return keras.optimizers.Adam(rate)


def _loss(task: Task, label_smoothing: float) -> Any:
    """The mean over weighted rows of what is minimised."""
    reduction = "mean_with_sample_weight"
    if task is Task.REGRESSION:
        return keras.losses.MeanSquaredError(reduction=reduction)
    if not label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    return Smoothed(label_smoothing, reduction=reduction)


class Smoothed(keras.losses.Loss):
    """Cross-entropy of class indices with a part of each label spread over all classes; Keras has it for one-hot labels."""

    def __init__(self, label_smoothing: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        hot = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), y_pred.shape[-1])
        return keras.losses.categorical_crossentropy(hot, y_pred, from_logits=True, label_smoothing=self._label_smoothing)


def _metrics(task: Task) -> list[Any]:
    if task is Task.REGRESSION:
        return [keras.metrics.RootMeanSquaredError(name="root_mean_squared_error")]
    return [
        keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="log_loss"), keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
    ]
