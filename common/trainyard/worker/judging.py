"""The holder of an alias, judged on the test rows of the run that may replace it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt
from mlflow.entities.model_registry import ModelVersion

from trainyard.contract import Promote
from trainyard.datasets.splitting import described
from trainyard.drift.comparison import Drift, compare
from trainyard.registry.notes import foreseen
from trainyard.registry.promotion import SHOWN_CONFIDENCE, Interval, Judgement
from trainyard.trainer import Data
from trainyard.worker.bootstrap import interval_of_difference
from trainyard.worker.champion import CannotScore, columns_needed, predictions
from trainyard.worker.drift_report import write_drift
from trainyard.worker.evaluation import evaluate
from trainyard.worker.held_out_rows import HeldOutRows
from trainyard.worker.holders import Holders, NotHere

Array = npt.NDArray[Any]
MOST_BREAKS = 5


@dataclass(frozen=True)
class Tested:
    """A run's own model on its test rows."""

    data: Data
    predicted: Array
    """Probabilities of (n, classes), or values of (n,)."""
    metrics: dict[str, float]


class JudgingLog(Protocol):
    """Where a judging writes what it finds: a run's log, or nowhere."""

    def say(self, message: str, /) -> object:
        """Tell people."""
        ...

    def champion(self, version: str, metrics: Mapping[str, float]) -> None:
        """What the holder reached, and which version that is."""
        ...

    def drift(self, max_psi: float) -> None:
        """How far the column that moved most has moved."""
        ...

    def holders(self) -> Holders:
        """What asks MLflow about other runs' models."""
        ...


class Judging:
    """Scores whoever holds the alias, each version once, and logs it beside the run's own metrics."""

    def __init__(  # noqa: PLR0913 - what a judge goes by, each by name
        self,
        name: str,
        rule: Promote,
        *,
        tested: Tested,
        rows: HeldOutRows,
        log: JudgingLog,
        artifacts: Path,
        elsewhere: Callable[[ModelVersion, Data, str], Array],
    ) -> None:
        self._name = name
        self._rule = rule
        self._tested = tested
        self._rows = rows
        self._log = log
        self._artifacts = artifacts
        self._elsewhere = elsewhere
        self._holders = log.holders()
        self._judged: dict[str, Judgement] = {}
        self.metrics: dict[str, float] = {}
        """`champion_test_…` of the version that was judged last; empty where none could be."""

    def ahead(self) -> None:
        """Judge the present holder, if there is one, before the run's files are uploaded."""
        holder = self._holders.holder(self._name, self._rule.alias)
        if holder is not None:
            self(holder)

    def tags(self) -> dict[str, str]:
        """Of the version that is about to be registered: what was found about the holder that was judged last."""
        judgement = next(reversed(self._judged.values()), None)
        value = self._tested.metrics.get(self._rule.metric)
        return foreseen(self._rule, value, len(self._tested.data.test), judgement)

    def __call__(self, holder: ModelVersion) -> Judgement:
        """The judgement of this version. Raises `TrackingUnavailable`."""
        version = str(holder.version)
        if version not in self._judged:
            self._judged[version] = self._judge(holder, version)
        return self._judged[version]

    def _judge(self, holder: ModelVersion, version: str) -> Judgement:
        try:
            metrics, predicted = self._scored(holder)
        except CannotScore as error:
            self._log.say(f"version {version} of {self._name!r} cannot be scored: {error}")
            return Judgement(version, incomparable=str(error))
        self.metrics = {f"champion_{name}": value for name, value in metrics.items()}
        self._log.champion(version, self.metrics)
        value = metrics.get(self._rule.metric)
        if value is None:
            return Judgement(version, incomparable=f"it has no {self._rule.metric} on them")
        run = self._holders.run(holder)
        profile = self._holders.profile(run) if run else {}
        drift = self._drift(profile)
        return Judgement(
            version,
            value,
            self._interval(predicted, value),
            seen=self._rows.seen_by(run.data.tags, profile) if run else None,
            tested_on=self._which_rows(),
            max_drift=drift.max_psi if drift else None,
            drift=drift.sentence() if drift else None,
            breaks=_breaks(drift) if drift else (),
        )

    def _scored(self, holder: ModelVersion) -> tuple[dict[str, float], Array]:
        """The holder's test metrics and predictions. Raises `CannotScore`."""
        data = self._tested.data
        try:
            model = self._holders.model(holder)
        except NotHere as error:
            predicted = self._elsewhere(holder, data, str(error))
        else:
            x = self._rows.x(columns_needed(model.metadata))
            predicted = predictions(model, x, data.task, data.classes)
        return evaluate(data.task, predicted, data.test, data.classes, "test"), predicted

    def _interval(self, predicted: Array, value: float) -> Interval | None:
        """How sure the difference is; None where the run itself does not have the metric."""
        own = self._tested.metrics.get(self._rule.metric)
        if own is None:
            return None
        return interval_of_difference(
            self._rule.metric.removeprefix("test_"),
            self._tested.predicted,
            predicted,
            self._tested.data.test,
            self._tested.data.classes,
            difference=own - value,
            confidence=self._rule.confidence or SHOWN_CONFIDENCE,
            seed=self._rows.seed,
        )

    def _drift(self, holders: Mapping[str, Any]) -> Drift | None:
        """What changed since the data of the holder's run, logged; None where that left no sketches of its columns."""
        mine, theirs = (each.get("sketches") for each in (self._tested.data.profile, holders))
        if not mine or not theirs:
            return None
        drift = compare(mine, theirs)
        write_drift(self._artifacts, drift)
        self.metrics["drift_max_psi"] = drift.max_psi
        self._log.drift(drift.max_psi)
        self._log.say(f"since the champion's data: {drift.sentence()}")
        return drift

    def _which_rows(self) -> str | None:
        """What is particular about the test rows, in words."""
        split = self._tested.data.profile.get("split")
        return described(split).removeprefix("tested on ") if split else None


def _breaks(drift: Drift) -> tuple[str, ...]:
    """What callers of the holder would have to change: columns that it did not need, and columns of another type."""
    needed = [f"the column {name!r} is needed now" for name in drift.new]
    typed = [f"{each.name!r} is {each.now} now, and was {each.before}" for each in drift.changed]
    shown = [*needed, *typed]
    more = [f"and {len(shown) - MOST_BREAKS} more"] if len(shown) > MOST_BREAKS else []
    return (*shown[:MOST_BREAKS], *more)
