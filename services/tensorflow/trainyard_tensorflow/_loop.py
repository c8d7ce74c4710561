"""The training of a network, from top to bottom: Keras's `fit`, with what `_epochs` does in between."""

import math
from typing import Any

import keras
import tensorflow as tf
from trainyard.networks.fitness import check_patience, check_shares
from trainyard.networks.params import NetworkParams
from trainyard.trainer import Training

from trainyard_tensorflow._device import Device, errors_told
from trainyard_tensorflow._epochs import Epochs
from trainyard_tensorflow._lesson import Lesson
from trainyard_tensorflow._losses import loss, metrics
from trainyard_tensorflow._networks import Build
from trainyard_tensorflow._ranks import Ranks
from trainyard_tensorflow._rate import Rate

WORK_AT_ONCE = 2**30
"""Multiplications, forwards, that TensorFlow does without Python in between: a twentieth of a second's, or so (ADR 6)."""
STEPS_AT_ONCE = 32
"""Steps that it goes at most, however small they are."""


def train(
    build: Build, params: NetworkParams, given: Lesson, training: Training
) -> keras.Sequential:
    """A trained network that computes in float32.

    Raises `InvalidParams`, `Diverged`, `OutOfMemory`, `GpuOutOfMemory`, and `Interrupted` within `POLL_SECONDS` and `WORK_AT_ONCE`.
    """
    keras.utils.disable_interactive_logging()  # no progress bars in the log, MLflow's prediction for its example among them
    device = Device.chosen(params, training.threads)
    check_patience(params, validated=given.validation is not None)
    ranks = Ranks.of(training.world)
    if params.deterministic:
        tf.config.experimental.enable_op_determinism()

    with errors_told(device), tf.device(device.name):
        return _fit(
            build,
            params,
            given,
            training,
            ranks,
            policy=device.policy,
            batch_size=params.batch_after(training.halvings),
        )


def _fit(  # noqa: PLR0913 - a training's parts
    build: Build,
    params: NetworkParams,
    given: Lesson,
    training: Training,
    ranks: Ranks,
    *,
    policy: str,
    batch_size: int,
) -> keras.Sequential:
    check_shares(params, batch_size, rows=len(given.train), ranks=training.world.size)
    keras.utils.set_random_seed(training.seed)
    steps = given.train.steps(batch_size)
    rate = Rate(params.schedule, params.learning_rate, steps=steps, epochs=params.epochs)
    network = build(policy)
    network.compile(
        ranks.averaging(_optimizer(params, rate)),
        loss(given.task, params.label_smoothing, weighed=not training.world.alone),
        weighted_metrics=metrics(given.task),
        steps_per_execution=min(_steps_at_once(network, batch_size), steps),
        jit_compile=False,
    )
    network.optimizer.build(network.trainable_variables)
    epochs = Epochs(network, params, given, training, rate, ranks)
    training.world.agree("the checkpoint", epochs.done, steps)
    batches = given.train.shuffled(
        batch_size,
        seed=training.seed,
        epoch=epochs.number,
        augment=given.augment,
        world=training.world,
    )
    if epochs.more:
        span = {"epochs": params.epochs, "initial_epoch": epochs.done}
        network.fit(batches, shuffle=False, verbose=0, callbacks=[epochs], **span)
    return _of_the_best(build(None), epochs.best or network.get_weights(), training)


def _of_the_best(network: keras.Sequential, weights: Any, training: Training) -> keras.Sequential:
    """The network with these weights, which all ranks have."""
    network.set_weights(weights)
    training.said_alike(*(each.tobytes() for each in network.get_weights()))
    return network


def _steps_at_once(network: keras.Sequential, batch_size: int) -> int:
    """Many where Python would be what takes the time, one where a run that is asked to stop would have to wait for them."""
    layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
    work: int = sum(
        math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1]) for layer in layers
    )
    return max(1, min(STEPS_AT_ONCE, WORK_AT_ONCE // (work * batch_size)))


def _optimizer(params: NetworkParams, rate: Rate) -> keras.Optimizer:
    if params.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    if params.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=params.weight_decay)
    return keras.optimizers.Adam(rate)
