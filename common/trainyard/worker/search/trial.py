"""One trial, in a process of its own: train with its params, tell how it goes, and leave.

It speaks to the search in lines of JSON over its own connection. After some of its rounds it waits for a byte that
says whether to go on. It knows nothing of MLflow, of Optuna, or of the test rows.
"""

import dataclasses
import json
import math
import os
import random
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, SupportsFloat

import numpy as np
from pydantic import ValidationError
from pydantic_core import to_json
from threadpoolctl import ThreadpoolController

from trainyard.contract import FieldError, TrainRequest
from trainyard.errors import InvalidParams
from trainyard.field_errors import bad_fields, readable
from trainyard.launcher.messages import Job
from trainyard.trainer import Data, Interrupted, Part, Trainer, Training, prepared
from trainyard.worker.evaluation import evaluate
from trainyard.worker.failures import classified
from trainyard.worker.reporting import finite
from trainyard.worker.search.folds import Folds, averaged, folds_of
from trainyard.worker.search.metric import pruned_by
from trainyard.worker.search.record import now

GO_ON, PRUNE = b"1", b"0"
MOST_QUESTIONS = 32
"""How often a trial asks whether to go on: each question waits for its answer."""
MOST_ROUNDS = 1_000
"""Of which metrics are told."""


class Pruned(Interrupted):
    """The trial fell behind the others."""


def trials_of(
    job: Job, request: TrainRequest, trainer: Trainer, data: Data, folder: Path
) -> "Trials":
    """Those of the request's search, on this data. Raises `InvalidData` where it has too few rows for folds."""
    search = request.search
    if search is None:
        raise TypeError("the run does not search")
    count = search.cross_validation
    return Trials(
        trainer=trainer,
        data=data,
        params=request.params,
        metric=search.metric_of(trainer.task),
        seed=request.seed,
        folder=folder,
        halvings=job.halvings,
        folds=None if count is None else folds_of(data, request.split, count),
    )


@dataclass(frozen=True)
class Trials:
    """What all trials of a search have in common."""

    trainer: Trainer
    data: Data
    params: Mapping[str, Any]
    """The request's, which no trial changes."""
    metric: str
    seed: int
    folder: Path
    """For the checkpoints of trials."""
    threads: int = 1
    """Each trial is told its own."""
    halvings: int = 0
    folds: Folds | None = None
    pools: ThreadpoolController = field(default_factory=ThreadpoolController)
    """Of the frameworks that are imported: a trial would look for them again."""

    def prepared(self) -> "Trials":
        """These, with what the trainer makes of the data once for all of them. Folds have rows of their own.

        From here on this process, and what is forked from it, computes on one thread: or else a framework's pool would
        be there when trials are forked.
        """
        self.pools.limit(limits=1)
        if self.folds is not None:
            return self
        try:
            data = prepared(self.trainer, self._checked({}), self.data)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the data or the params, the trials will say it
            sys.stdout.write(f"trials prepare their data themselves: {error}\n")
            return self
        return dataclasses.replace(self, data=data)

    def run(
        self, number: int, params: Mapping[str, Any], threads: int, connection: socket.socket
    ) -> NoReturn:
        """Be one trial, and end the process."""
        try:
            settle()
            answers = _Answers(connection, folds=len(self.folds) if self.folds else 1)
            try:
                mine = dataclasses.replace(self, threads=threads)
                answers.tell(mine._trained(number, params, answers))  # noqa: SLF001 - one of its own kind
            except BaseException as error:  # noqa: BLE001 - whatever a trial raises is how it ended
                # A framework may have made `Pruned` an error of its own.
                if not answers.pruned:
                    answers.tell_failure(error)
            sys.stdout.flush()
        finally:
            os._exit(0)

    def _trained(
        self, number: int, params: Mapping[str, Any], answers: "_Answers"
    ) -> dict[str, Any]:
        random.seed(self.seed)
        np.random.seed(self.seed)  # noqa: NPY002 - it is the global one that is meant
        checked = self._checked(params)
        if self.threads > 1:
            self.pools.limit(limits=self.threads)
        if self.folds is None:
            metrics = self._fitted(number, checked, self.data, answers)
        else:
            metrics = self._crossed(number, checked, self.folds, answers)
        answers.send_rounds()
        return {"metrics": metrics}

    def _crossed(
        self, number: int, params: Any, folds: Folds, answers: "_Answers"
    ) -> dict[str, float]:
        """The metrics of all folds together. Raises `Pruned`."""
        measured: list[dict[str, float]] = []
        for fold in range(len(folds)):
            measured.append(self._fitted(number, params, folds.of(fold), answers))
            answers.fold_ended(self.metric, averaged(measured))
        return averaged(measured)

    def _fitted(
        self, number: int, params: Any, data: Data, answers: "_Answers"
    ) -> dict[str, float]:
        """The metrics of one model."""
        with tempfile.TemporaryDirectory(prefix=f"trial-{number}-", dir=self.folder) as folder:
            training = Training(
                seed=self.seed,
                threads=self.threads,
                checkpoints=Path(folder),
                report=answers.report,
                checkpoint_due=lambda: False,
                note=lambda message: print(f"trial {number}: {message}"),  # noqa: T201 - it is the run's log
                halvings=self.halvings,
                watch_train=self._part == "train",
            )
            fitted = self.trainer.train(params, _without_test(data), training)
            return self._measured(fitted, data)

    def _checked(self, params: Mapping[str, Any]) -> Any:
        """The params as the model takes them. Raises `InvalidParams`."""
        whole = {**self.params, **params}
        try:
            return self.trainer.params.model_validate_json(to_json(whole))
        except ValidationError as error:
            found: tuple[FieldError, ...] = bad_fields(error, self.trainer.params, whole).errors
            said = "; ".join(f"{each.pointer or 'params'}: {each.detail}" for each in found[:3])
            raise InvalidParams(said) from error

    def _measured(self, fitted: Any, data: Data) -> dict[str, float]:
        """The metrics of the rows that the search goes by."""
        part: Part | None = data.train if self._part == "train" else data.validation
        if part is None:
            return {}
        predicted = fitted.predict(part.x)
        return evaluate(self.trainer.task, predicted, part, data.classes, self._part)

    @property
    def _part(self) -> str:
        """The rows that the search goes by, `train` or `validation`."""
        return self.metric.partition("_")[0]


class _Answers:
    """The trial's end of its connection. Rounds are counted through all folds."""

    def __init__(self, connection: socket.socket, *, folds: int = 1) -> None:
        self._connection = connection
        self._folds = folds
        self._last: dict[str, float] = {}
        self._earlier: list[dict[str, float]] = []
        """The last round's metrics of each fold that is over."""
        self._rounds: list[tuple[int, int, dict[str, float]]] = []
        self._about: tuple[int, str] = (0, "rounds")
        self.pruned = False

    def tell(self, message: Mapping[str, Any]) -> None:
        """Say something, whether or not somebody hears it."""
        with suppress(OSError):
            self._connection.sendall(to_json(message, inf_nan_mode="null") + b"\n")

    def tell_failure(self, error: BaseException) -> None:
        """Say why the trial failed; the log has where, unless that helps nobody."""
        failure = classified(error)
        if failure.reason.retryable:
            traceback.print_exception(error)
        self.tell({"failed": failure.reason.value, "why": readable(failure.detail)[:1000]})

    def report(
        self,
        *,
        done: int,
        total: int,
        unit: str,
        metrics: Mapping[str, SupportsFloat],
        save: Callable[[], object] | None = None,
    ) -> None:
        """As `Training.report`. Raises `Pruned`, and `Diverged` for what is no number."""
        del save
        fold = len(self._earlier)
        done, total = fold * int(total) + int(done), self._folds * int(total)
        self._last = measured = finite(metrics, f"{unit} {done}")
        if not measured:
            return
        self._about = (total, str(unit))
        if done % math.ceil(max(1, total) / MOST_ROUNDS) == 0 or done >= total:
            self._rounds.append((done, now(), measured))
        if done % math.ceil(max(1, total) / MOST_QUESTIONS) == 0 and done < total:
            self.send_rounds()
            self._ask(done, self._so_far(measured))

    def fold_ended(self, metric: str, mean: Mapping[str, float]) -> None:
        """One more fold is over, with this mean until now. Where rounds tell nothing to prune by, folds do. Raises `Pruned`."""
        told = pruned_by(metric, self._last)
        self._earlier.append(self._last)
        self._last = {}
        if told is None and len(self._earlier) < self._folds:
            self.send_rounds()
            self._ask(len(self._earlier), {metric: mean[metric]} if metric in mean else {})

    def _so_far(self, measured: Mapping[str, float]) -> dict[str, float]:
        """The mean of this round and of the last rounds of the folds that are over: what all trials have at this round."""
        return {
            name: sum((value, *(each.get(name, value) for each in self._earlier)))
            / (1 + len(self._earlier))
            for name, value in measured.items()
        }

    def send_rounds(self) -> None:
        """Tell what was measured since the last time."""
        if self._rounds:
            total, unit = self._about
            self.tell({"rounds": self._rounds, "total": total, "unit": unit})
            self._rounds = []

    def _ask(self, step: int, metrics: Mapping[str, float]) -> None:
        self.tell({"step": step, "of": metrics})
        answer = self._connection.recv(1)
        if not answer:
            os._exit(1)  # the search is gone
        if answer == PRUNE:
            self.pruned = True
            raise Pruned


def settle() -> None:
    """Output goes to the log by ways of its own; when memory runs out, this process goes first."""
    sys.stdout, sys.stderr = (
        os.fdopen(
            number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        for number in (1, 2)
    )
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


def _without_test(data: Data) -> Data:
    """The data as trials see it: there are no test rows in it."""
    nothing = Part(
        data.test.x[:0], data.test.y[:0], None if data.test.weight is None else data.test.weight[:0]
    )
    return dataclasses.replace(data, test=nothing)


def message_of(line: bytes) -> dict[str, Any]:
    """What a trial said; nothing for a line that was torn."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
