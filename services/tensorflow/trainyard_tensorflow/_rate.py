"""How the learning rate changes over a training."""

import math
from typing import Any

import keras
import tensorflow as tf

WARM_UP = 0.2
"""Share of a one-cycle schedule in which the learning rate rises, from a 25th."""


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
        return self._highest * self._share(
            tf.cast(step + self._ahead, tf.float32) / (self._steps * self._epochs)
        )

    def _share(self, done: Any) -> Any:
        falling = (1 + tf.cos(math.pi * done)) / 2
        if self._schedule == "one_cycle":
            rising = 0.04 + 0.96 * (1 - tf.cos(math.pi * done / WARM_UP)) / 2
            return tf.where(
                done < WARM_UP, rising, (1 + tf.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
            )
        return falling if self._schedule == "cosine" else tf.ones_like(done)

    def get_config(self) -> dict[str, Any]:
        """For the optimizer's config, which autologging writes down."""
        return {
            "schedule": self._schedule,
            "highest": self._highest,
            "steps": self._steps,
            "epochs": self._epochs,
        }
