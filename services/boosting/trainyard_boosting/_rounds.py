"""What happens after every boosting round, in either library: report, stop early, save a checkpoint."""

import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from trainyard.errors import Diverged
from trainyard.trainer import Training

log = logging.getLogger(__name__)

# The libraries' metric names in scikit-learn's words. LightGBM's l2 is reported as its root.
METRIC_NAMES = {
    "logloss": "log_loss",
    "mlogloss": "log_loss",
    "binary_logloss": "log_loss",
    "multi_logloss": "log_loss",
    "auc": "roc_auc",
    "auc_mu": "roc_auc",
    "aucpr": "average_precision",
    "average_precision": "average_precision",
    "error": "zero_one_loss",
    "merror": "zero_one_loss",
    "binary_error": "zero_one_loss",
    "multi_error": "zero_one_loss",
    "rmse": "root_mean_squared_error",
    "l2": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "l1": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "rmsle": "root_mean_squared_log_error",
}
HIGHER_IS_BETTER = frozenset({"auc", "auc_mu", "aucpr", "average_precision"})
MOST_SEED = 2**31


@dataclass
class Rounds:
    """Follows one training of `total` rounds and decides when it has gone on for long enough.

    Early stopping is that of both libraries: it ends when the validation metric has not strictly
    improved for `patience` rounds, and the best round counts either way. Unlike theirs it is kept
    in the checkpoint, so that a restarted run still knows its best round.
    """

    training: Training
    total: int
    patience: int | None
    suffix: str
    """How the names of checkpoint files end, such as `.ubj`."""
    goes_on: bool = True
    """Whether the library can train on from a checkpoint of this; where it cannot, none is saved."""
    done: int = 0
    best_round: int | None = field(default=None)
    best_score: float | None = field(default=None)

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to train."""
        return self.done >= self.total or self._out_of_patience

    @property
    def seed(self) -> int:
        """What rows and columns are drawn from: another seed after a checkpoint, as the first round's would draw the same again."""
        return (self.training.seed + self.done) % MOST_SEED

    @property
    def best(self) -> int | None:
        """How many rounds to keep; None for all."""
        return self.best_round if self.patience else None

    def after(self, scores: Mapping[str, Mapping[str, float]], save: Callable[[str], Any]) -> bool:
        """One more round is done; True when training should stop.

        `scores`: part to the library's metric name to its value. `save` writes the booster to a path.
        Raises `Diverged` for NaN or infinity, and whatever `training.report` raises, checkpoint saved.
        """
        self.done += 1
        metrics = {
            f"{part}_{METRIC_NAMES.get(name, name)}": math.sqrt(value) if name == "l2" else value
            for part, values in scores.items()
            for name, value in values.items()
        }
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise Diverged(
                    f"{name} became {value} in round {self.done}; a lower learning_rate often helps"
                )
        if self.patience:
            self._compare(scores["validation"])
        due = self.goes_on and self.training.checkpoint_due()
        checkpoint = partial(self._save, save) if due else None
        self.training.report(
            done=self.done, total=self.total, unit="rounds", metrics=metrics, save=checkpoint
        )
        return self._out_of_patience

    def resume(self, load: Callable[[str], tuple[Any, int]]) -> Any:
        """The newest checkpoint that `load` reads, as (booster, rounds) with this object put where it was; else None."""
        if not self.goes_on:
            return None
        for model in sorted(self.training.checkpoints.glob(f"round-*{self.suffix}"), reverse=True):
            try:
                booster, rounds = load(str(model))
                state = json.loads(model.with_suffix(".json").read_text())
                best_round, best_score = state["best_round"], state["best_score"]
                expected = state["done"]
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a checkpoint, an older one or none will do
                log.warning("checkpoint %s is ignored: %s", model.name, error)
                continue
            if rounds != expected or not 0 < rounds <= self.total:
                log.warning(
                    "checkpoint %s is ignored: it holds %d rounds, and %s of at most %d were expected",
                    model.name,
                    rounds,
                    expected,
                    self.total,
                )
                continue
            self.done, self.best_round, self.best_score = rounds, best_round, best_score
            self.training.note(f"going on after round {self.done} from checkpoint {model.name}")
            return booster
        return None

    @property
    def _out_of_patience(self) -> bool:
        return bool(
            self.patience and self.best_round and self.done - self.best_round >= self.patience
        )

    def _compare(self, scores: Mapping[str, float]) -> None:
        name, score = next(iter(scores.items()))
        better = self.best_score is None or (
            score > self.best_score if name in HIGHER_IS_BETTER else score < self.best_score
        )
        if better:
            self.best_round, self.best_score = self.done, score

    def _save(self, save: Callable[[str], Any]) -> None:
        """Write the state, then the booster, whose name makes the checkpoint count; then drop older ones."""
        folder = self.training.checkpoints
        model = folder / f"round-{self.done:08d}{self.suffix}"
        state = {"done": self.done, "best_round": self.best_round, "best_score": self.best_score}
        model.with_suffix(".json").write_text(json.dumps(state))
        unfinished = folder / f"unfinished{self.suffix}"
        save(str(unfinished))
        os.replace(unfinished, model)  # noqa: PTH105 - the atomic rename, by its own name
        for old in _older(folder, model):
            old.unlink(missing_ok=True)


def _older(folder: Path, newest: Path) -> list[Path]:
    return [path for path in folder.glob("round-*") if path.stem != newest.stem]
