"""What a network is to learn: the parts of the data as tensors, in memory or on a device."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from trainyard.contract import Task
from trainyard.errors import InvalidData
from trainyard.mapped_rows import RowsInFile
from trainyard.trainer import Part

from trainyard_pytorch._batches import Rows, Tensor, tensor
from trainyard_pytorch._device import Device


@dataclass(frozen=True)
class Lesson:
    """What is to be learnt: rows as tensors of x, y and weight, and how well is said about them."""

    task: Task
    train: Rows
    validation: Rows | None
    target_scale: float = 1.0
    """What one unit of a scaled target is worth."""
    augment: Callable[[Tensor], Tensor] | None = None


def lesson(  # noqa: PLR0913 - a lesson's parts
    task: Task,
    train: Part,
    validation: Part | None,
    *,
    encode: Callable[[Any], Any],
    target: tuple[float, float] = (0.0, 1.0),
    augment: Callable[[Tensor], Tensor] | None = None,
) -> Lesson:
    """The parts as tensors; `encode` makes bytes or floats of `Part.x`, in memory or in a file. Raises `InvalidData` for too few rows."""
    if len(train) < 2:
        raise InvalidData("a network needs two training rows or more", "/split")

    def rows(part: Part) -> Rows:
        y = (
            part.y
            if task is Task.CLASSIFICATION
            else ((part.y - target[0]) / target[1]).astype(np.float32)
        )
        weight = None if part.weight is None else torch.from_numpy(part.weight.astype(np.float32))
        x = encode(part.x)
        return Rows(
            x if isinstance(x, RowsInFile) else tensor(x),
            tensor(y),
            weight,
        )

    return Lesson(
        task,
        rows(train),
        rows(validation) if validation is not None and len(validation) else None,
        target[1],
        augment,
    )


def on(device: Device, given: Lesson) -> Lesson:
    """The same lesson with its tensors on the device."""

    def moved(rows: Rows) -> Rows:
        return Rows(
            rows.x if isinstance(rows.x, RowsInFile) else rows.x.to(device.kind),
            rows.y.to(device.kind),
            None if rows.weight is None else rows.weight.to(device.kind),
        )

    return Lesson(
        given.task,
        moved(given.train),
        moved(given.validation) if given.validation else None,
        given.target_scale,
        given.augment,
    )
