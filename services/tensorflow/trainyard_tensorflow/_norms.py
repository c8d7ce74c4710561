"""The batch norm that networks train with."""

from typing import Any

import tensorflow as tf
from keras import layers


class FusedNorm(layers.BatchNormalization):
    """Keras's batch norm by TensorFlow's one operation for it, which reads and writes bfloat16; Keras goes by float32 (ADR 6).

    Rows of (n, units) or (n, height, width, channels). Its weights are those of Keras's layer, which a logged model has.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        del mask
        flat = inputs.shape.rank == 2
        known = (
            (tf.constant([]), tf.constant([]))
            if training
            else (
                tf.convert_to_tensor(self.moving_mean),
                tf.convert_to_tensor(self.moving_variance),
            )
        )
        out, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs[:, tf.newaxis, tf.newaxis] if flat else inputs,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=known[0],
            variance=known[1],
            epsilon=self.epsilon,
            is_training=bool(training),
        )
        if training:
            for kept, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept.assign(kept * self.momentum + new * (1.0 - self.momentum))
        return out[:, 0, 0] if flat else out
