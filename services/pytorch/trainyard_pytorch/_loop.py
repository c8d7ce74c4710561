"""The training of a network, from top to bottom.

A plain loop and not Lightning, for the time between batches: ADR 5 has the figures.
"""

import copy
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from trainyard.errors import Diverged
from trainyard.networks.fitness import check_patience, check_shares
from trainyard.networks.params import NetworkParams
from trainyard.trainer import Training

from trainyard_pytorch import _checkpoints
from trainyard_pytorch._batches import Rows, Tensor
from trainyard_pytorch._device import Device, out_of_memory_told
from trainyard_pytorch._lesson import Lesson, on
from trainyard_pytorch._ranks import Ranks, together
from trainyard_pytorch._schedule import share
from trainyard_pytorch._score import Score, loss, watched_loss

POLL_SECONDS = 0.25
"""How long a run that is asked to stop may go on, and how rarely the loss is looked at: on a GPU that waits for it."""
EVALUATED_AT_ONCE = 2048


def train(
    build: Callable[[], nn.Module], params: NetworkParams, given: Lesson, training: Training
) -> nn.Module:
    """A trained network, on the CPU and in evaluation mode.

    Raises `InvalidParams`, `Diverged`, `OutOfMemory`, `GpuOutOfMemory`, and `Interrupted` within `POLL_SECONDS` and a batch.
    """
    torch.set_num_threads(training.threads)
    torch.use_deterministic_algorithms(params.deterministic)
    device = Device.chosen(params)
    check_patience(params, validated=given.validation is not None)

    with out_of_memory_told():
        torch.manual_seed(training.seed)
        network: Any = build().to(device.kind, memory_format=torch.channels_last)
        with together(training.world, device) as ranks:
            epochs = Epochs(network, params, on(device, given), training, ranks)
            epochs.go_on_from_checkpoint()
            while epochs.more:
                epochs.train_one()
        return epochs.trained()


class Epochs:
    """One epoch after the other: teach, validate, remember the best weights, report, save a checkpoint."""

    def __init__(
        self,
        network: Any,
        params: NetworkParams,
        given: Lesson,
        training: Training,
        ranks: Ranks,
    ) -> None:
        self._network, self._params, self._given = network, params, given
        self._training, self._device, self._ranks = training, ranks.device, ranks
        self._batch_size = params.batch_after(training.halvings)
        check_shares(params, self._batch_size, rows=len(given.train), ranks=ranks.world.size)
        self._steps = given.train.steps(self._batch_size)
        self._taught_one = ranks.made_one(network)
        self._optimizer = _optimizer(params, network)
        self._looked = time.monotonic()
        self._done = 0
        self._best: dict[str, Any] | None = None
        self._best_loss = math.inf
        self._best_epoch = 0

    def go_on_from_checkpoint(self) -> None:
        """Take up what an earlier process of this run has learnt, if it saved any of it."""
        saved = _checkpoints.newest(self._training.checkpoints, self._device.kind)
        if saved:
            self._network.load_state_dict(saved["network"])
            self._optimizer.load_state_dict(saved["optimizer"])
            self._done, self._best = saved["epoch"], saved["best"]
            self._best_loss, self._best_epoch = saved["best_loss"], saved["best_epoch"]
        self._training.world.agree("the checkpoint", self._done, self._steps)

    @property
    def more(self) -> bool:
        """Whether another epoch is to be trained."""
        patience = self._params.early_stopping_patience
        return self._done < self._params.epochs and not (
            patience and self._done - self._best_epoch >= patience
        )

    def train_one(self) -> None:
        """Train the next epoch. Raises `Diverged`, and what `Training.report` raises."""
        # Each epoch draws from a seed of its own, so that a restarted run goes on as the unbroken one would.
        torch.manual_seed(self._training.seed * 1_000_003 + self._done)
        metrics = self._taught()
        self._ranks.average_statistics(self._network)
        if self._given.validation is not None:
            metrics |= self._evaluated(self._given.validation)
        for name, value in metrics.items():
            self._check(name, value)
        self._done += 1
        self._remember_the_best(metrics)
        self._report(metrics, self._save)

    def trained(self) -> nn.Module:
        """The network with its best weights, on the CPU and in evaluation mode."""
        if self._best is not None:
            self._network.load_state_dict(self._best)
        network: nn.Module = self._network.to("cpu", memory_format=torch.contiguous_format).eval()
        self._training.said_alike(
            *(each.numpy().tobytes() for each in network.state_dict().values())
        )
        return network

    def _taught(self) -> dict[str, float]:
        """Take a step for each batch of the training rows. The metrics of the outputs that it made meanwhile."""
        self._network.train()
        score = Score(self._given)
        self._looked = time.monotonic()
        for step, batch in enumerate(self._given.train.shuffled(self._batch_size)):
            if step == 0:  # the order of the rows has been drawn
                self._ranks.draw_apart()
            self._set_rate((self._done + step / self._steps) / self._params.epochs)
            own, factor = self._ranks.share(self._given.train, batch)
            out, minimised = self._step(own, factor)
            score.add(out, own)
            if self._time_to_look():
                self._check("the loss", minimised.item())
                self._ask_whether_to_stop()
        return score.metrics("train", self._ranks)

    def _set_rate(self, done: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._params.learning_rate * share(self._params.schedule, done)

    def _step(self, batch: Rows, factor: float) -> tuple[Tensor, Tensor]:
        """The outputs for the batch before the step, and the loss, which counts by the factor."""
        x = self._given.augment(batch.x) if self._given.augment else batch.x
        with self._device.autocast():
            out = self._taught_one(x).float()
        minimised = loss(self._given.task, out, batch, self._params.label_smoothing)
        self._optimizer.zero_grad(set_to_none=True)
        (minimised * factor).backward()
        self._optimizer.step()
        return out.detach(), minimised

    def _evaluated(self, rows: Rows) -> dict[str, float]:
        """The metrics of the network on validation rows, of which each rank looks at its share."""
        self._network.eval()
        score = Score(self._given)
        self._looked = time.monotonic()
        with torch.inference_mode(), self._device.autocast():
            for own in self._ranks.slices(len(rows), EVALUATED_AT_ONCE):
                some = rows[own]
                score.add(self._network(some.x).float(), some)
                if self._time_to_look():
                    self._ask_whether_to_stop()
        return score.metrics("validation", self._ranks)

    def _time_to_look(self) -> bool:
        if time.monotonic() - self._looked <= POLL_SECONDS:
            return False
        self._looked = time.monotonic()
        return True

    def _check(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise Diverged(
                f"{name} became {value} in epoch {self._done + 1}; a lower learning_rate often helps"
            )

    def _remember_the_best(self, metrics: dict[str, float]) -> None:
        watched = metrics.get(f"validation_{watched_loss(self._given.task)}", math.inf)
        if self._params.early_stopping_patience and watched < self._best_loss:
            self._best = copy.deepcopy(self._network.state_dict())
            self._best_loss, self._best_epoch = watched, self._done

    def _ask_whether_to_stop(self) -> None:
        self._report({})

    def _report(self, metrics: dict[str, float], save: Callable[[], object] | None = None) -> None:
        self._training.report(
            done=self._done, total=self._params.epochs, unit="epochs", metrics=metrics, save=save
        )

    def _save(self) -> None:
        state = {
            "epoch": self._done,
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "best_loss": self._best_loss,
            "best_epoch": self._best_epoch,
        }
        _checkpoints.save(self._training.checkpoints, state)


def _optimizer(params: NetworkParams, network: nn.Module) -> Any:
    settings: dict[str, Any] = {
        "lr": params.learning_rate,
        "weight_decay": params.weight_decay,
        "fused": True,
    }
    if params.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=0.9, nesterov=True, **settings)
    return (torch.optim.AdamW if params.optimizer == "adamw" else torch.optim.Adam)(
        network.parameters(), **settings
    )
