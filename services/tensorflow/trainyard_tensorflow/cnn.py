"""A convolutional network that classifies images: `cnn`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import mlflow.tensorflow
from trainyard.contract import Task
from trainyard.networks.fitness import check_batch
from trainyard.networks.params import CNN_SPACE, CnnParams
from trainyard.trainer import Data, DataKind, Training

from trainyard_tensorflow._device import INSTALLED
from trainyard_tensorflow._fitted import ImageClassifier
from trainyard_tensorflow._lesson import lesson
from trainyard_tensorflow._loop import train
from trainyard_tensorflow._networks import convolutional


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
    framework: str = INSTALLED
    distributed: bool = True

    def autolog(self) -> None:
        """With MLflow's, without what is logged by hand after the training: model, data, checkpoints."""
        mlflow.tensorflow.autolog(
            log_models=False, log_datasets=False, checkpoint=False, silent=True
        )

    def train(self, params: CnnParams, data: Data, training: Training) -> ImageClassifier:
        """Fit. Raises `InvalidParams`, `InvalidData`, `Diverged`, `OutOfMemory`, `GpuOutOfMemory`."""
        check_batch(params, normed=True)
        classes = data.classes or ()
        given = lesson(
            self.task,
            data.train,
            data.validation,
            encode=lambda images: images,
            augment=params.augment,
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
