"""What a network is to learn: the parts of the data as arrays, or in files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from trainyard.contract import Task
from trainyard.errors import InvalidData
from trainyard.trainer import Part

from trainyard_tensorflow._batches import Rows


@dataclass(frozen=True)
class Lesson:
    """What is to be learnt, and how well is said about it."""

    task: Task
    train: Rows
    validation: Rows | None
    target_scale: float = 1.0
    """What one unit of a scaled target is worth."""
    augment: bool = False


def lesson(  # noqa: PLR0913 - a lesson's parts
    task: Task,
    train: Part,
    validation: Part | None,
    *,
    encode: Callable[[Any], Any],
    target: tuple[float, float] = (0.0, 1.0),
    augment: bool = False,
) -> Lesson:
    """The parts; `encode` makes bytes or floats of `Part.x`, in memory or in a file. Raises `InvalidData` for too few rows."""
    if len(train) < 2:
        raise InvalidData("a network needs two training rows or more", "/split")

    def rows(part: Part) -> Rows:
        y = (
            part.y
            if task is Task.CLASSIFICATION
            else ((part.y - target[0]) / target[1]).astype(np.float32)[:, np.newaxis]
        )
        weight = (
            np.ones(len(part), np.float32)
            if part.weight is None
            else part.weight.astype(np.float32)
        )
        return Rows(encode(part.x), y, weight)

    return Lesson(
        task,
        rows(train),
        rows(validation) if validation is not None and len(validation) else None,
        target[1],
        augment,
    )
