"""A network that several ranks train together: torch's DistributedDataParallel, and what it leaves to its caller.

Each rank takes its share of each batch, so batch size and learning rate mean what they mean for one. Gradients are
averaged by DistributedDataParallel. Batch norm sees the rows of one rank on a processor, where torch cannot do it
otherwise, and those of all on GPUs; its running statistics are averaged before they are used.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from trainyard.hardware import interface_of
from trainyard.world import World

from trainyard_pytorch._batches import Rows, Tensor
from trainyard_pytorch._device import Device


@contextmanager
def together(world: World, device: Device) -> Iterator["Ranks"]:
    """The ranks, who can reach each other within it. After an error nothing is closed in order: the process ends."""
    ranks = Ranks(world, device)
    if world.alone:
        yield ranks
        return
    _bind_to(world.host)
    address = world.addresses()[0]
    distributed.init_process_group(
        "nccl" if device.kind == "cuda" else "gloo",
        init_method=f"tcp://{address}",
        rank=world.rank,
        world_size=world.size,
        timeout=timedelta(seconds=world.timeout_seconds),
    )
    yield ranks
    distributed.destroy_process_group()


def _bind_to(host: str) -> None:
    """Have the collectives listen where the other ranks look: by themselves they take what the host's name stands for."""
    interface = interface_of(host)
    if interface:
        os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = interface


@dataclass(frozen=True)
class Ranks:
    """What one of several does with the others; with none, each of these gives what it was given."""

    world: World
    device: Device

    def made_one(self, network: nn.Module) -> Any:
        """The network with the same weights on all, and gradients that are averaged; `network` itself where it is alone."""
        if self.world.alone:
            return network
        on_gpu = self.device.kind == "cuda"
        if on_gpu:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return DistributedDataParallel(
            network, device_ids=[0] if on_gpu else None, forward_sync_buffers=False
        )

    def share(self, rows: Rows, batch: Tensor) -> tuple[Rows, float]:
        """This rank's rows of a batch, which is where its rows are, and by what the mean loss over them is to be multiplied.

        So the mean over ranks of the gradients is the gradient of the mean over the whole batch, however rows are
        weighted. Of the other ranks' rows no more is read than their weights.
        """
        if self.world.alone:
            return rows[batch], 1.0
        own = batch[self.world.rank :: self.world.size]
        factor = self.world.size * rows.weight_of(own) / max(rows.weight_of(batch), 1e-12)
        return rows[own], factor

    def slices(self, rows: int, at_once: int) -> Iterator[slice]:
        """This rank's share of so many rows, some at a time: each `size`-th, as `World.rows` takes them."""
        rank, size = self.world.rank, self.world.size
        whole = at_once * size
        return (slice(at, at - rank + whole, size) for at in range(rank, rows, whole))

    def draw_apart(self) -> None:
        """Have each rank drop out and shift other places, once all have drawn the same order of rows."""
        if not self.world.alone:
            torch.manual_seed(torch.initial_seed() * self.world.size + self.world.rank)

    def total(self, *sums: Any) -> list[Any]:
        """The sums over all ranks."""
        if self.world.alone:
            return list(sums)
        own = [torch.as_tensor(each, dtype=torch.float64, device=self.device.kind) for each in sums]
        all_together = torch.stack(own)
        distributed.all_reduce(all_together)
        return list(all_together)

    def average_statistics(self, network: nn.Module) -> None:
        """Make the running means and variances of norms those of all ranks."""
        if self.world.alone:
            return
        for norm in network.modules():
            if isinstance(norm, _BatchNorm) and norm.running_mean is not None:
                for kept in (norm.running_mean, norm.running_var):
                    distributed.all_reduce(kept)
                    kept.div_(self.world.size)
