"""What is minimised, and by what a network is measured."""

from typing import Any

import keras
import tensorflow as tf
from trainyard.contract import Task


def watched_loss(task: Task) -> str:
    """The name of the loss that early stopping watches."""
    return "log_loss" if task is Task.CLASSIFICATION else "root_mean_squared_error"


def loss(task: Task, label_smoothing: float, *, weighed: bool = False) -> Any:
    """The mean over weighted rows of what is minimised; `weighed`: the weights are made for that already."""
    reduction = "sum_over_batch_size" if weighed else "mean_with_sample_weight"
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
        return keras.losses.categorical_crossentropy(
            hot, y_pred, from_logits=True, label_smoothing=self._label_smoothing
        )


def metrics(task: Task) -> list[Any]:
    """What Keras adds up over an epoch."""
    if task is Task.REGRESSION:
        return [keras.metrics.RootMeanSquaredError(name="root_mean_squared_error")]
    return [
        keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="log_loss"),
        keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
    ]
