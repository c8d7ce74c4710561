"""The hyperparameters of `mlp` and `cnn`, the same words in every framework."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from trainyard.trainer import Params

Units = Annotated[int, Field(ge=1, le=16_384)]


class NetworkParams(Params):
    """How a network is trained."""

    epochs: int = Field(8, ge=1, le=10_000, description="Passes over the training rows")
    batch_size: int = Field(256, ge=1, le=65_536, description="Rows a step")
    optimizer: Literal["adamw", "adam", "sgd"] = Field(
        "adamw", description="sgd uses Nesterov momentum of 0.9"
    )
    learning_rate: float = Field(3e-3, gt=0, le=10, description="The highest of the schedule")
    schedule: Literal["one_cycle", "cosine", "constant"] = Field(
        "one_cycle", description="How the learning rate goes over all steps"
    )
    weight_decay: float = Field(1e-4, ge=0, le=1, description="Decoupled for adamw, L2 otherwise")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="For classification")
    early_stopping_patience: int | None = Field(
        None, ge=1, description="Epochs without a better validation loss; the best weights are kept"
    )
    mixed_precision: Literal["auto", "off", "bfloat16"] = Field(
        "auto", description="auto takes bfloat16 where the device has it and is faster with it"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes a GPU where there is one"
    )
    deterministic: bool = Field(
        False, description="The same seed gives the same weights, more slowly"
    )

    def batch_after(self, halvings: int) -> int:
        """Rows a step after memory ran out so often."""
        return max(1, self.batch_size >> halvings)


class MlpParams(NetworkParams):
    """A multilayer perceptron, on images or tables."""

    hidden_units: list[Units] = Field(
        [512, 256], min_length=1, max_length=20, description="Units of each hidden layer"
    )
    activation: Literal["relu", "gelu", "silu", "tanh"] = Field(
        "relu", description="After each hidden layer"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="After each hidden layer")
    batch_norm: bool = Field(True, description="Before each activation")


class CnnParams(NetworkParams):
    """A convolutional network on images: a convolution, a norm, an activation and a pooling a stage."""

    epochs: int = Field(5, ge=1, le=10_000, description="Passes over the training rows")
    batch_size: int = Field(128, ge=1, le=65_536, description="Rows a step")
    learning_rate: float = Field(1e-2, gt=0, le=10, description="The highest of the schedule")
    conv_channels: list[Units] = Field(
        [16, 32, 64], min_length=1, max_length=10, description="Channels of each stage"
    )
    kernel_size: Literal[1, 3, 5, 7] = Field(3, description="Of every convolution, in pixels")
    dense_units: int = Field(128, ge=1, le=16_384, description="Units of the layer before the last")
    dropout: float = Field(0.25, ge=0, lt=1, description="Before the last layer")
    augment: bool = Field(
        False, description="Shift each training image by up to two pixels, a whole batch at a time"
    )


MLP_SPACE: Mapping[str, Any] = {
    "learning_rate": {"low": 0.0003, "high": 0.03, "log": True},
    "hidden_units": [[64], [128, 64], [256, 128], [512, 256]],
    "dropout": {"low": 0.0, "high": 0.5},
    "weight_decay": {"low": 0.000001, "high": 0.01, "log": True},
    "batch_size": [64, 128, 256, 512],
}
CNN_SPACE: Mapping[str, Any] = {
    "learning_rate": {"low": 0.001, "high": 0.03, "log": True},
    "conv_channels": [[16, 32], [16, 32, 64], [32, 64], [32, 64, 128]],
    "dropout": {"low": 0.0, "high": 0.5},
    "weight_decay": {"low": 0.000001, "high": 0.01, "log": True},
    "batch_size": [64, 128, 256],
}
"""What a search tries where it is not told a space."""
