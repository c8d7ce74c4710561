"""The networks: their layers, and what turns raw images into their input and their output into an answer.

Every layer of a logged one is Keras's own, so that it loads wherever Keras does.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers
from trainyard.networks.fitness import check_room
from trainyard.networks.params import CnnParams, MlpParams, NetworkParams

from trainyard_tensorflow._norms import FusedNorm

Images = npt.NDArray[np.uint8]
Build = Callable[[str | None], keras.Sequential]
"""Makes a network to be trained by a policy of Keras's, such as `mixed_bfloat16`; for None the same as it is logged, in float32."""


def scaled(images: Images) -> layers.Normalization:
    """Bytes of (n, height, width, channels) to floats of mean 0 and variance 1 by these images, each channel for itself."""
    some = images[:: max(1, len(images) // 4096)]
    axes = (0, 1, 2)
    return layers.Normalization(
        mean=some.mean(axes), variance=np.maximum(some.std(axes), 1.0) ** 2, dtype="float32"
    )


def answering(
    network: keras.Sequential, *, grey: bool = False, target: tuple[float, float] | None
) -> keras.Sequential:
    """A trained network as it is logged: class probabilities, or values of (n, 1) in the target's own unit.

    Grey images come without an axis for their one channel.
    """
    shape, kind = network.input_shape[1:], network.inputs[0].dtype
    first = (
        [keras.Input(shape[:-1], dtype=kind), layers.Reshape(shape, dtype=kind)]
        if grey
        else [keras.Input(shape, dtype=kind)]
    )
    last = (
        layers.Softmax(dtype="float32")
        if target is None
        else layers.Rescaling(target[1], target[0], dtype="float32")
    )
    return keras.Sequential([*first, network, last])


def flattened(
    params: MlpParams, images: Images, classes: int, policy: str | None
) -> keras.Sequential:
    """A perceptron on raw images like these."""
    return keras.Sequential(
        [
            keras.Input(images.shape[1:], dtype="uint8"),
            scaled(images),
            layers.Flatten(dtype=policy),
            *_hidden(params, policy),
            _last(params, classes),
        ]
    )


def perceptron(
    params: MlpParams, inputs: int, outputs: int, policy: str | None
) -> keras.Sequential:
    """Of rows of `inputs` numbers: a linear layer, a norm, an activation and a dropout a hidden layer."""
    return keras.Sequential(
        [keras.Input((inputs,)), *_hidden(params, policy), _last(params, outputs)]
    )


def convolutional(
    params: CnnParams, images: Images, classes: int, policy: str | None
) -> keras.Sequential:
    """Stages on raw images like these, then two dense layers. Raises `InvalidParams` for images too small.

    Pooling comes before norm and activation: the same for a rising activation, up to the norm's sign,
    and a quarter of the work for both.
    """
    check_room(params, height=images.shape[1], width=images.shape[2])
    stages: list[Any] = []
    for filters in params.conv_channels:
        stages += [
            layers.Conv2D(
                filters,
                params.kernel_size,
                padding="same",
                use_bias=False,
                kernel_regularizer=_l2(params),
                dtype=policy,
            ),
            layers.MaxPooling2D(dtype=policy),
            _norm(policy),
            layers.ReLU(dtype=policy),
        ]
    return keras.Sequential(
        [
            keras.Input(images.shape[1:], dtype="uint8"),
            scaled(images),
            *stages,
            layers.Flatten(dtype=policy),
            layers.Dense(params.dense_units, "relu", kernel_regularizer=_l2(params), dtype=policy),
            layers.Dropout(params.dropout, dtype=policy),
            _last(params, classes),
        ]
    )


def _hidden(params: MlpParams, policy: str | None) -> list[Any]:
    made: list[Any] = []
    for units in params.hidden_units:
        made.append(
            layers.Dense(
                units, use_bias=not params.batch_norm, kernel_regularizer=_l2(params), dtype=policy
            )
        )
        if params.batch_norm:
            made.append(_norm(policy))
        made += [
            layers.Activation(params.activation, dtype=policy),
            layers.Dropout(params.dropout, dtype=policy),
        ]
    return made


def _last(params: NetworkParams, outputs: int) -> layers.Dense:
    return layers.Dense(outputs, kernel_regularizer=_l2(params), dtype="float32")


def _norm(policy: str | None) -> layers.BatchNormalization:
    """With a shorter memory than Keras's: ten small epochs are enough for it."""
    kind = layers.BatchNormalization if policy is None else FusedNorm
    return kind(momentum=0.9, epsilon=1e-5, dtype=policy)


def _l2(params: NetworkParams) -> keras.Regularizer | None:
    """Weight decay where the optimizer does not do it itself."""
    return (
        None
        if params.optimizer == "adamw" or not params.weight_decay
        else keras.regularizers.L2(params.weight_decay / 2)
    )
