"""A convolutional network that classifies images: `cnn`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from trainyard.contract import Task
from trainyard.networks.fitness import check_batch
from trainyard.networks.params import CNN_SPACE, CnnParams
from trainyard.trainer import Data, DataKind, Training

from trainyard_pytorch._batches import shifted
from trainyard_pytorch._fitted import ImageClassifier
from trainyard_pytorch._lesson import lesson
from trainyard_pytorch._loop import train
from trainyard_pytorch._networks import convolutional


@dataclass(frozen=True)
class Cnn:
    """A `trainyard.trainer.Trainer`."""

    name: str
    description: str
    example: dict[str, Any]
    task: Task = Task.CLASSIFICATION
    data: tuple[DataKind, ...] = ("images",)
    params: type[CnnParams] = CnnParams
    search_space: Mapping[str, Any] = field(default_factory=lambda: CNN_SPACE)
    framework: str = "torch"
    distributed: bool = True

    def autolog(self) -> None:
        """Nothing: MLflow's autologging reaches torch through Lightning alone, and the loop reports all it would."""

    def train(self, params: CnnParams, data: Data, training: Training) -> ImageClassifier:
        """Fit. Raises `InvalidParams`, `InvalidData`, `Diverged`, `OutOfMemory`, `GpuOutOfMemory`."""
        check_batch(params, normed=True)
        classes = data.classes or ()
        given = lesson(
            self.task,
            data.train,
            data.validation,
            encode=lambda images: images,
            augment=shifted if params.augment else None,
        )
        build = partial(convolutional, params, data.train.x, len(classes))
        return ImageClassifier(train(build, params, given, training), classes)


cnn = Cnn(
    name="cnn",
    description="A convolutional network on images",
    example={
        "model": "cnn",
        "params": {"conv_channels": [16, 32], "epochs": 10},
        "data": {"source": "builtin", "name": "digits"},
    },
)
