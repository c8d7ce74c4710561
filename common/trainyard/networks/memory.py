"""Going on with half the batch when memory runs out."""

from collections.abc import Callable
from typing import TypeVar

from trainyard.errors import GpuOutOfMemory, OutOfMemory
from trainyard.trainer import Training

HALVINGS = 3
T = TypeVar("T")


def with_smaller_batches(train: Callable[[int], T], batch_size: int, training: Training) -> T:
    """`train(batch_size)`; when it raises out of memory and the request allows, again with half, three times at most.

    `train` has to begin from the newest checkpoint or anew. Each halving is told and recorded.
    """
    for halving in range(HALVINGS + 1):
        try:
            return train(batch_size)
        except (OutOfMemory, GpuOutOfMemory) as error:
            if not training.halve_batch or halving == HALVINGS or batch_size == 1:
                raise
            batch_size = max(1, batch_size // 2)
            training.note(f"{error.detail} Going on with batch_size {batch_size}.")
    raise AssertionError
