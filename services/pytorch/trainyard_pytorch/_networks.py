"""The networks: their layers, and what turns raw images into their input and their output into an answer."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from trainyard.networks.fitness import check_room
from trainyard.networks.params import CnnParams, MlpParams

Images = npt.NDArray[np.uint8]

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


class Scaled(nn.Module):
    """Images of (n, height, width[, channels]), bytes or floats from 0 to 255, to floats of (n, channels, height, width).

    Scaled to mean 0 and variance 1 by the training images, each channel for itself. The memory stays
    as it was, pixel by pixel, which is what convolutions are fastest on.
    """

    def __init__(self, images: Images) -> None:
        super().__init__()
        some = images[:: max(1, len(images) // 4096)]
        axes = (0, 1, 2)
        self.register_buffer("mean", torch.tensor(some.mean(axes), dtype=torch.float32))
        self.register_buffer(
            "scale", torch.tensor(1 / np.maximum(some.std(axes), 1.0), dtype=torch.float32)
        )

    def forward(self, images: Any) -> Any:
        if images.dim() == 3:
            images = images.unsqueeze(-1)
        return ((images.float() - self.mean) * self.scale).permute(0, 3, 1, 2)


class Answering(nn.Module):
    """A trained network as it is logged: class probabilities, or values in the target's own unit."""

    def __init__(self, network: nn.Module, *, target: tuple[float, float] | None) -> None:
        super().__init__()
        self.network = network
        self.target = target

    def forward(self, x: Any) -> Any:
        out = self.network(x).float()
        if self.target is None:
            return torch.softmax(out, dim=1)
        mean, scale = self.target
        return out[:, 0] * scale + mean


def perceptron(params: MlpParams, inputs: int, outputs: int) -> nn.Sequential:
    """Of rows of `inputs` numbers: a linear layer, a norm, an activation and a dropout a hidden layer."""
    layers: list[nn.Module] = []
    for units in params.hidden_units:
        layers.append(nn.Linear(inputs, units, bias=not params.batch_norm))
        if params.batch_norm:
            layers.append(nn.BatchNorm1d(units))
        layers += [ACTIVATIONS[params.activation](), nn.Dropout(params.dropout)]
        inputs = units
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def flattened(params: MlpParams, images: Images, classes: int) -> nn.Sequential:
    """A perceptron on raw images like these."""
    return nn.Sequential(
        Scaled(images), nn.Flatten(), perceptron(params, math.prod(images.shape[1:]), classes)
    )


def convolutional(params: CnnParams, images: Images, classes: int) -> nn.Sequential:
    """Stages on raw images like these, then two dense layers. Raises `InvalidParams` for images too small.

    Pooling comes before norm and activation: the same for a rising activation, up to the norm's sign,
    and a quarter of the work for both.
    """
    height, width, channels = images.shape[1:]
    check_room(params, height=height, width=width)
    layers: list[nn.Module] = []
    for filters in params.conv_channels:
        layers += [
            nn.Conv2d(
                channels, filters, params.kernel_size, padding=params.kernel_size // 2, bias=False
            ),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
        ]
        channels, height, width = filters, height // 2, width // 2
    return nn.Sequential(
        Scaled(images),
        *layers,
        nn.Flatten(),
        nn.Linear(channels * height * width, params.dense_units),
        nn.ReLU(),
        nn.Dropout(params.dropout),
        nn.Linear(params.dense_units, classes),
    )


def summary(network: nn.Module) -> str:
    """Each layer with its parameters, as text."""
    lines = [
        f"{name or 'network':<16} {layer!s:<88} {sum(each.numel() for each in layer.parameters()):>12,}"
        for name, layer in network.named_modules()
        if not list(layer.children())
    ]
    total = sum(each.numel() for each in network.parameters())
    return "\n".join(
        [
            f"{'layer':<16} {'':<88} {'parameters':>12}",
            *lines,
            f"{'total':<16} {'':<88} {total:>12,}",
            "",
        ]
    )
