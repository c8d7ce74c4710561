"""The training of a network, from top to bottom.

A plain loop and not Lightning, for the time between batches: ADR 5 has the figures.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from trainyard.contract import Task
from trainyard.errors import Diverged, InvalidData
from trainyard.networks.fitness import check_patience
from trainyard.networks.params import NetworkParams
from trainyard.trainer import Part, Training

from trainyard_pytorch import _checkpoints
from trainyard_pytorch._batches import Rows, Tensor
from trainyard_pytorch._device import Device, out_of_memory_told

POLL_SECONDS = 0.25
"""How long a run that is asked to stop may go on, and how rarely the loss is looked at: on a GPU that waits for it."""
EVALUATED_AT_ONCE = 2048
WARM_UP = 0.2
"""Share of a one-cycle schedule in which the learning rate rises, from a 25th."""


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
    task: Task, train: Part, validation: Part | None, *, encode: Callable[[Any], Any],
    target: tuple[float, float] = (0.0, 1.0), augment: Callable[[Tensor], Tensor] | None = None,
) -> Lesson:
    """The parts in memory as tensors; `encode` makes bytes or floats of `Part.x`. Raises `InvalidData` for too few rows."""
    if len(train) < 2:  # noqa: PLR2004 - a norm needs two
        raise InvalidData("a network needs two training rows or more", "/split")

    def rows(part: Part) -> Rows:
        y = part.y if task is Task.CLASSIFICATION else ((part.y - target[0]) / target[1]).astype(np.float32)
        weight = None if part.weight is None else torch.from_numpy(part.weight.astype(np.float32))
        return Rows(torch.from_numpy(np.require(encode(part.x), requirements=["C", "W"])), torch.from_numpy(np.require(y, requirements=["C", "W"])), weight)

    return Lesson(task, rows(train), rows(validation) if validation is not None and len(validation) else None, target[1], augment)


def train(build: Callable[[], nn.Module], params: NetworkParams, given: Lesson, training: Training) -> nn.Module:
    """A trained network, on the CPU and in evaluation mode.

    Raises `InvalidParams`, `Diverged`, `OutOfMemory`, `GpuOutOfMemory`, and `Interrupted` within `POLL_SECONDS` and a batch.
    """
    torch.set_num_threads(training.threads)
    torch.use_deterministic_algorithms(params.deterministic)
    device = Device.chosen(params)
    check_patience(params, validated=given.validation is not None)

    with out_of_memory_told():
        return _fit(build, params, _on(device, given), training, device=device, batch_size=params.batch_after(training.halvings))


def _fit(  # noqa: C901, PLR0913 - a training from its first line to its last is best read in one piece
    build: Callable[[], nn.Module], params: NetworkParams, given: Lesson, training: Training, *, device: Device, batch_size: int,
) -> nn.Module:
    torch.manual_seed(training.seed)
    network: Any = build().to(device.kind, memory_format=torch.channels_last)
    optimizer = _optimizer(params, network)
    first, best, best_loss, best_epoch = 0, None, math.inf, 0
    saved = _checkpoints.newest(training.checkpoints, device.kind)
    if saved:
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        first, best, best_loss, best_epoch = saved["epoch"], saved["best"], saved["best_loss"], saved["best_epoch"]

    steps = given.train.steps(batch_size)
    patience = params.early_stopping_patience
    for epoch in range(first, params.epochs):
        if patience and epoch - best_epoch >= patience:
            break
        # Each epoch draws from a seed of its own, so that a restarted run goes on as the unbroken one would.
        torch.manual_seed(training.seed * 1_000_003 + epoch)
        network.train()
        asked = partial(training.report, done=epoch, total=params.epochs, unit="epochs", metrics={})
        seen, looked = Score(given), time.monotonic()
        for step, batch in enumerate(given.train.shuffled(batch_size)):
            for group in optimizer.param_groups:
                group["lr"] = params.learning_rate * share(params.schedule, (epoch + step / steps) / params.epochs)
            x = given.augment(batch.x) if given.augment else batch.x
            with device.autocast():
                out = network(x).float()
            loss = _loss(given.task, out, batch, params.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            seen.add(out.detach(), batch)
            if time.monotonic() - looked > POLL_SECONDS:
                looked = time.monotonic()
                _check(loss, epoch)
                asked()
        metrics = seen.metrics("train")
        if given.validation is not None:
            metrics |= _evaluated(network, given, given.validation, device, asked).metrics("validation")
            if patience and metrics[f"validation_{seen.loss_name}"] < best_loss:
                best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), metrics[f"validation_{seen.loss_name}"], epoch + 1
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} became {value} in epoch {epoch + 1}; a lower learning_rate often helps")
        state = {"epoch": epoch + 1, "network": network.state_dict(), "optimizer": optimizer.state_dict()}
        state |= {"best": best, "best_loss": best_loss, "best_epoch": best_epoch}
        save = partial(_checkpoints.save, training.checkpoints, state)
        training.report(done=epoch + 1, total=params.epochs, unit="epochs", metrics=metrics, save=save)

    if best is not None:
        network.load_state_dict(best)
    trained: nn.Module = network.to("cpu", memory_format=torch.contiguous_format).eval()
    return trained


@dataclass
class Score:
    """Adds up how good outputs are, on the device, so that nothing waits for it before it is asked."""

    given: Lesson
    total: Any = 0.0
    right: Any = 0.0
    weight: Any = 0.0
    loss_name: str = field(init=False)

    def __post_init__(self) -> None:
        self.loss_name = "log_loss" if self.given.task is Task.CLASSIFICATION else "root_mean_squared_error"

    def add(self, out: Tensor, rows: Rows) -> None:
        """Outputs of (n, classes) or (n, 1) for these rows."""
        weight = torch.ones(len(rows), device=out.device) if rows.weight is None else rows.weight
        self.total = self.total + (_row_losses(self.given.task, out, rows.y, 0.0) * weight).sum()
        self.weight = self.weight + weight.sum()
        if self.given.task is Task.CLASSIFICATION:
            self.right = self.right + ((out.argmax(dim=1) == rows.y) * weight).sum()

    def metrics(self, part: str) -> dict[str, float]:
        """`PART_log_loss` and `PART_accuracy`, or `PART_root_mean_squared_error` in the target's own unit."""
        mean = float(self.total / self.weight)
        if self.given.task is Task.REGRESSION:
            return {f"{part}_{self.loss_name}": math.sqrt(mean) * self.given.target_scale}
        return {f"{part}_{self.loss_name}": mean, f"{part}_accuracy": float(self.right / self.weight)}


def share(schedule: str, done: float) -> float:
    """What part of the highest learning rate is due when `done` of 0 to 1 of the training is over.

    `one_cycle` as in Smith and Topin, https://arxiv.org/abs/1708.07120, with cosines for lines: it depends on nothing
    but `done`, so a training goes on after a restart, or with another batch size, where it was.
    """
    if schedule == "one_cycle" and done < WARM_UP:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * done / WARM_UP)) / 2
    if schedule == "one_cycle":
        return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
    return (1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else 1.0


def _optimizer(params: NetworkParams, network: nn.Module) -> Any:
    settings: dict[str, Any] = {"lr": params.learning_rate, "weight_decay": params.weight_decay, "fused": True}
    if params.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=0.9, nesterov=True, **settings)
    return (torch.optim.AdamW if params.optimizer == "adamw" else torch.optim.Adam)(network.parameters(), **settings)


def _row_losses(task: Task, out: Tensor, y: Tensor, label_smoothing: float) -> Any:
    if task is Task.CLASSIFICATION:
        return functional.cross_entropy(out, y, reduction="none", label_smoothing=label_smoothing)
    return (out[:, 0] - y).square()


def _loss(task: Task, out: Tensor, rows: Rows, label_smoothing: float) -> Any:
    losses = _row_losses(task, out, rows.y, label_smoothing)
    if rows.weight is None:
        return losses.mean()
    return (losses * rows.weight).sum() / rows.weight.sum().clamp_min(1e-12)


def _evaluated(network: nn.Module, given: Lesson, rows: Rows, device: Device, asked: Callable[[], None]) -> Score:
    """The network's score on these rows; `asked` is called now and then, and raises when the run is to stop."""
    network.eval()
    score = Score(given)
    looked = time.monotonic()
    with torch.inference_mode(), device.autocast():
        for start in range(0, len(rows), EVALUATED_AT_ONCE):
            some = rows[start : start + EVALUATED_AT_ONCE]
            score.add(network(some.x).float(), some)
            if time.monotonic() - looked > POLL_SECONDS:
                looked = time.monotonic()
                asked()
    return score


def _check(loss: Tensor, epoch: int) -> None:
    if not torch.isfinite(loss):
        raise Diverged(f"the loss became {float(loss)} in epoch {epoch + 1}; a lower learning_rate often helps")


def _on(device: Device, given: Lesson) -> Lesson:
    def moved(rows: Rows) -> Rows:
        return Rows(rows.x.to(device.kind), rows.y.to(device.kind), None if rows.weight is None else rows.weight.to(device.kind))

    return Lesson(given.task, moved(given.train), moved(given.validation) if given.validation else None, given.target_scale, given.augment)
