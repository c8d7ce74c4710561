"""Multilayer perceptrons: `mlp` classifies images and tables, `mlp_regressor` predicts numbers from tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import mlflow.tensorflow
from trainyard.contract import Task
from trainyard.networks.fitness import check_batch
from trainyard.networks.params import MLP_SPACE, MlpParams
from trainyard.networks.tables import TableEncoding, warnings_about
from trainyard.trainer import Data, DataKind, Training

from trainyard_tensorflow._device import INSTALLED
from trainyard_tensorflow._fitted import ImageClassifier, TablePredictor
from trainyard_tensorflow._lesson import lesson
from trainyard_tensorflow._loop import train
from trainyard_tensorflow._networks import flattened, perceptron


@dataclass(frozen=True)
class Mlp:
    """A `trainyard.trainer.Trainer`."""

    name: str
    task: Task
    data: tuple[DataKind, ...]
    description: str
    example: dict[str, Any]
    params: type[MlpParams] = MlpParams
    search_space: Mapping[str, Any] = field(default_factory=lambda: MLP_SPACE)
    framework: str = INSTALLED
    distributed: bool = True
    distributed_in_batches: bool = True

    def autolog(self) -> None:
        """With MLflow's, without what is logged by hand after the training: model, data, checkpoints."""
        mlflow.tensorflow.autolog(
            log_models=False, log_datasets=False, checkpoint=False, silent=True
        )

    def warnings_about(self, data: Data) -> list[str]:
        """About columns of a table that it does not learn from, or not wholly."""
        return warnings_about(data)

    def needs_whole(self, params: MlpParams) -> None:
        """It takes the rows of a batch from a file where a table does not fit in memory."""

    def train(
        self, params: MlpParams, data: Data, training: Training
    ) -> ImageClassifier | TablePredictor:
        """Fit. Raises `InvalidParams`, `InvalidData`, `Diverged`, `OutOfMemory`, `GpuOutOfMemory`."""
        check_batch(params, normed=params.batch_norm)
        if data.kind == "images":
            return self._on_images(params, data, training)
        return self._on_table(params, data, training)

    def _on_images(self, params: MlpParams, data: Data, training: Training) -> ImageClassifier:
        classes = data.classes or ()
        given = lesson(self.task, data.train, data.validation, encode=lambda images: images)
        return ImageClassifier(
            train(partial(flattened, params, data.train.x, len(classes)), params, given, training),
            classes,
        )

    def _on_table(self, params: MlpParams, data: Data, training: Training) -> TablePredictor:
        encoding = TableEncoding.fitted(
            data.frame,
            data.train.y if self.task is Task.REGRESSION else None,
            data.notations,
            data.dates,
        )
        target = (encoding.target_mean, encoding.target_scale)
        encode = encoding.encode_to_file if data.beyond_memory else encoding.encode
        given = lesson(self.task, data.train, data.validation, encode=encode, target=target)
        outputs = len(data.classes) if data.classes else 1
        network = train(
            partial(perceptron, params, encoding.width, outputs), params, given, training
        )
        return TablePredictor(network, encoding, data.classes)


mlp = Mlp(
    name="mlp",
    task=Task.CLASSIFICATION,
    data=("images", "table"),
    description="A multilayer perceptron on images or tables",
    example={
        "model": "mlp",
        "params": {"hidden_units": [256, 128], "epochs": 10},
        "data": {"source": "builtin", "name": "digits"},
    },
)
mlp_regressor = Mlp(
    name="mlp_regressor",
    task=Task.REGRESSION,
    data=("table",),
    description="A multilayer perceptron that predicts numbers from tables",
    example={
        "model": "mlp_regressor",
        "params": {"hidden_units": [64], "epochs": 50},
        "data": {"source": "builtin", "name": "diabetes"},
    },
)
