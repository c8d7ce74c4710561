"""Rows in memory or in a file, taken a batch at a time by slicing a permutation; no loader, no worker, of rows in memory no Python a row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from trainyard.mapped_rows import RowsInFile
from trainyard.networks.fitness import steps_of

Tensor = Any
SHIFT = 2
"""Pixels that augmentation shifts by, at most, in each direction."""


@dataclass(frozen=True)
class Rows:
    """Rows of one part, on the device: images as bytes of (n, height, width, channels) or table rows as floats of (n, width).

    Where `x` lies in a file it stays there, and the rows of a batch are brought to the device.
    """

    x: Tensor | RowsInFile
    y: Tensor
    weight: Tensor | None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, chosen: Any) -> "Rows":
        return Rows(
            self._x_of(chosen),
            self.y[chosen],
            None if self.weight is None else self.weight[chosen],
        )

    def _x_of(self, chosen: Any) -> Tensor:
        if not isinstance(self.x, RowsInFile):
            return self.x[chosen]
        at = chosen if isinstance(chosen, slice) else chosen.cpu().numpy()
        return tensor(self.x[at]).to(self.y.device)

    def shuffled(self, batch_size: int) -> Iterator[Tensor]:
        """Where all rows are, once each, in an order drawn from torch's generator, in `steps` batches whose sizes differ by one at most."""
        order = torch.randperm(len(self)).to(self.y.device)
        yield from order.tensor_split(self.steps(batch_size))

    def weight_of(self, chosen: Any) -> float:
        """What these rows weigh together: each 1 where none has a weight."""
        return float(len(chosen) if self.weight is None else self.weight[chosen].sum())

    def steps(self, batch_size: int) -> int:
        """Batches of an epoch."""
        return steps_of(len(self), batch_size)


def tensor(values: npt.NDArray[Any]) -> Tensor:
    """Over the same memory, where torch can use it."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def shifted(images: Tensor) -> Tensor:
    """Each image of (n, height, width, channels) moved by up to `SHIFT` pixels of its own, with zeros coming in.

    torchvision's random transforms draw one shift for a whole batch; here each image has its own, and still
    the batch is one gathering.
    """
    count, height, width, _ = images.shape
    padded = functional.pad(images, (0, 0, SHIFT, SHIFT, SHIFT, SHIFT))
    down, right = torch.randint(0, 2 * SHIFT + 1, (2, count, 1), device=images.device)
    rows = down + torch.arange(height, device=images.device)
    columns = right + torch.arange(width, device=images.device)
    return padded[
        torch.arange(count, device=images.device)[:, None, None],
        rows[:, :, None],
        columns[:, None, :],
    ]
