"""Training rows in memory, taken a batch at a time by slicing a permutation; no loader, no worker, no Python a row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from trainyard.networks.fitness import steps_of

Tensor = Any
SHIFT = 2
"""Pixels that augmentation shifts by, at most, in each direction."""


@dataclass(frozen=True)
class Rows:
    """Rows of one part, on the device: images as bytes of (n, height, width, channels) or table rows as floats of (n, width).

    Where `x` lies in a file it stays there, and the rows of a batch are brought to the device.
    """

    x: Tensor
    y: Tensor
    weight: Tensor | None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, chosen: Any) -> "Rows":
        at = chosen if isinstance(chosen, slice) else chosen.to(self.x.device)
        return Rows(
            self.x[at].to(self.y.device),
            self.y[chosen],
            None if self.weight is None else self.weight[chosen],
        )

    def shuffled(self, batch_size: int) -> Iterator["Rows"]:
        """All rows once, in an order drawn from torch's generator, in `steps` batches whose sizes differ by one at most."""
        order = torch.randperm(len(self)).to(self.y.device)
        for chosen in order.tensor_split(self.steps(batch_size)):
            yield self[chosen]

    def steps(self, batch_size: int) -> int:
        """Batches of an epoch."""
        return steps_of(len(self), batch_size)


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
