"""What is minimised, and how good a network's outputs are."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from trainyard.contract import Task

from trainyard_pytorch._batches import Rows, Tensor
from trainyard_pytorch._lesson import Lesson
from trainyard_pytorch._ranks import Ranks


@dataclass
class Score:
    """Adds up how good outputs are, on the device, so that nothing waits for it before it is asked."""

    given: Lesson
    total: Any = 0.0
    right: Any = 0.0
    weight: Any = 0.0

    def add(self, out: Tensor, rows: Rows) -> None:
        """Outputs of (n, classes) or (n, 1) for these rows."""
        weight = torch.ones(len(rows), device=out.device) if rows.weight is None else rows.weight
        self.total = self.total + (_row_losses(self.given.task, out, rows.y, 0.0) * weight).sum()
        self.weight = self.weight + weight.sum()
        if self.given.task is Task.CLASSIFICATION:
            self.right = self.right + ((out.argmax(dim=1) == rows.y) * weight).sum()

    def metrics(self, part: str, ranks: Ranks) -> dict[str, float]:
        """`PART_log_loss` and `PART_accuracy`, or `PART_root_mean_squared_error` in the target's own unit, of all ranks' rows."""
        total, right, weight = ranks.total(self.total, self.right, self.weight)
        mean = float(total / weight)
        loss_name = f"{part}_{watched_loss(self.given.task)}"
        if self.given.task is Task.REGRESSION:
            return {loss_name: math.sqrt(mean) * self.given.target_scale}
        return {loss_name: mean, f"{part}_accuracy": float(right / weight)}


def watched_loss(task: Task) -> str:
    """The name of the loss that early stopping watches."""
    return "log_loss" if task is Task.CLASSIFICATION else "root_mean_squared_error"


def _row_losses(task: Task, out: Tensor, y: Tensor, label_smoothing: float) -> Any:
    if task is Task.CLASSIFICATION:
        return functional.cross_entropy(out, y, reduction="none", label_smoothing=label_smoothing)
    return (out[:, 0] - y).square()


def loss(task: Task, out: Tensor, rows: Rows, label_smoothing: float) -> Any:
    """The mean over weighted rows of what is minimised."""
    losses = _row_losses(task, out, rows.y, label_smoothing)
    if rows.weight is None:
        return losses.mean()
    return (losses * rows.weight).sum() / rows.weight.sum().clamp_min(1e-12)
